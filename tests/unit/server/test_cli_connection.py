"""What the command line says of a server that is none, or answers oddly."""

from contextlib import closing

import httpx
import pytest

from server.cli.connection import Api, ApiFailure, Connection, ConnectionLost

URL = "http://127.0.0.1:7575"


def ask(answer):
    with closing(Api(Connection(url=URL, key="k"))) as api:
        api._client = httpx.Client(
            base_url=URL, transport=httpx.MockTransport(lambda request: answer)
        )
        return api.request("GET", "/v1/models")


def fault(answer):
    with pytest.raises(ApiFailure) as refused:
        ask(answer)
    return str(refused.value)


def test_a_page_in_place_of_json_is_told_in_a_sentence():
    assert "is no YouWorker" in fault(httpx.Response(200, html="<p>Hello</p>"))


def test_a_redirect_is_told_with_where_it_leads():
    told = fault(httpx.Response(301, headers={"Location": "https://other/"}, html="<p>Moved</p>"))
    assert "give the address that it redirects to (https://other/)" in told


def test_an_error_without_details_is_told_by_its_message():
    body = {"error": {"message": "No.", "code": "refused"}}
    assert fault(httpx.Response(400, json=body)) == "No. [refused]"


@pytest.mark.parametrize("url", ["http://[::1", "http://host:port", "nothing"])
def test_an_address_that_is_none_is_told_and_not_tried_again(url):
    with pytest.raises(ApiFailure, match="is no address of a server") as refused:
        Api(Connection(url=url, key="k")).request("GET", "/v1/models")
    assert not isinstance(refused.value, ConnectionLost)


def test_a_key_that_cannot_be_one_is_told_without_showing_it():
    with pytest.raises(ApiFailure, match="letters that no key has") as refused:
        Api(Connection(url=URL, key="ключ"))
    assert "ключ" not in str(refused.value)
