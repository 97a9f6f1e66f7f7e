"""Authorization servers over a real wire, also those that a hostile tool server names."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.fakes.authorization_server import (
    METADATA,
    OPENID_METADATA,
    AuthorizationServerFake,
    open_authorization_server,
    redirect_to,
)
from tests.fakes.protected_mcp_server import ProtectedServer, open_protected_server
from tools.authorization.clients import Client, register_client
from tools.authorization.discovery import Discovered, discover
from tools.authorization.grants import Grant, redeem_code, refresh_tokens, revoke_token
from tools.authorization.wire import ANSWER_MAX_BYTES, AuthorizationWire
from tools.config import HttpServer, parse_server
from tools.errors import AuthorizationFailed, AuthorizationRefused, AuthorizationUnreachable
from tools.outbound.addresses import Address
from tools.settings import OutboundSettings

HOME = "https://tools.example.org/mcp"
OPEN = OutboundSettings(enabled=True)
BACK = "https://youworker.example/back"


@pytest.fixture
async def authority() -> AsyncIterator[AuthorizationServerFake]:
    async with open_authorization_server() as fake:
        yield fake


@pytest.fixture
async def protected(authority: AuthorizationServerFake) -> AsyncIterator[ProtectedServer]:
    async with open_protected_server(authority) as fake:
        yield fake


@pytest.fixture
def wire() -> AuthorizationWire:
    return AuthorizationWire(OutboundSettings(), hosts=["127.0.0.1"], allow_plain=True)


def config_of(fake: ProtectedServer) -> HttpServer:
    config = parse_server("there", {"url": fake.url, "auth": {"type": "oauth"}})
    assert isinstance(config, HttpServer)
    return config


def grant_of(authority: AuthorizationServerFake, found: Discovered) -> Grant:
    return Grant(
        server=found.server, client=Client(id="x"), resource=authority.url, home=authority.url
    )


class Names:
    """Looks names up as a test says."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = tuple(map(ip_address, addresses))
        self.asked: list[str] = []

    async def resolve(self, host: str) -> Sequence[Address]:
        self.asked.append(host)
        return self._addresses


@pytest.mark.parametrize("names_its_metadata", [True, False])
async def test_whom_a_server_trusts_is_found_out(
    wire: AuthorizationWire,
    protected: ProtectedServer,
    authority: AuthorizationServerFake,
    names_its_metadata: bool,
):
    protected.names_its_metadata = names_its_metadata
    found = await discover(wire, config_of(protected))
    assert found.resource.identifier == protected.url
    assert found.server.issuer == authority.url
    assert found.server.token_endpoint == f"{authority.url}/token"
    assert found.scopes == ("read",)


async def test_openid_connect_metadata_will_do(
    wire: AuthorizationWire, protected: ProtectedServer, authority: AuthorizationServerFake
):
    said = await wire.ask("GET", f"{authority.url}{METADATA}", home=protected.url)
    authority.answers[METADATA] = Response(status_code=404)
    authority.answers[OPENID_METADATA] = Response(said.body, media_type="application/json")
    assert (await discover(wire, config_of(protected))).server.issuer == authority.url


@pytest.mark.parametrize(
    "answer",
    [
        redirect_to("http://169.254.169.254/latest/meta-data"),
        redirect_to("/elsewhere"),
        PlainTextResponse("x" * (ANSWER_MAX_BYTES + 1)),
        PlainTextResponse("x", headers={"Content-Encoding": "gzip"}),
        PlainTextResponse("no JSON"),
        JSONResponse([1]),
        Response(status_code=404),
        Response(status_code=503),
    ],
    ids=["redirect", "own redirect", "huge", "packed", "text", "list", "missing", "down"],
)
async def test_metadata_that_cannot_be_used_ends_it(
    wire: AuthorizationWire,
    protected: ProtectedServer,
    authority: AuthorizationServerFake,
    answer: Response,
):
    authority.answers[METADATA] = answer
    with pytest.raises(AuthorizationFailed):
        await discover(wire, config_of(protected))
    assert authority.count("/elsewhere") == 0


@pytest.mark.parametrize("url", ["http://auth.example.org/authorize", "http://10.0.0.1/authorize"])
async def test_nobodys_browser_is_sent_where_there_is_no_tls(
    wire: AuthorizationWire,
    protected: ProtectedServer,
    authority: AuthorizationServerFake,
    url: str,
):
    authority.metadata = {"authorization_endpoint": url}
    with pytest.raises(AuthorizationFailed, match="TLS"):
        await discover(wire, config_of(protected))


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({"access_token": "a", "token_type": "mac"}),
        JSONResponse({"access_token": "a b", "token_type": "bearer"}),
        JSONResponse({"access_token": "a\r\nX-Evil: 1", "token_type": "bearer"}),
        JSONResponse({"access_token": "", "token_type": "bearer"}),
        JSONResponse({"token_type": "bearer"}),
        PlainTextResponse("access_token=a"),
        redirect_to("/elsewhere"),
    ],
)
async def test_tokens_that_cannot_be_used_are_refused(
    wire: AuthorizationWire,
    protected: ProtectedServer,
    authority: AuthorizationServerFake,
    answer: Response,
):
    grant = grant_of(authority, await discover(wire, config_of(protected)))
    authority.answers["/token"] = answer
    with pytest.raises(AuthorizationFailed):
        await redeem_code(wire, grant, code="c", verifier="v", redirect_url=BACK)
    assert authority.count("/elsewhere") == 0


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (JSONResponse({"error": "invalid_grant"}, 400), AuthorizationRefused, "invalid_grant"),
        (JSONResponse({"error": "<script>"}, 400), AuthorizationRefused, ""),
        (PlainTextResponse("no", 401), AuthorizationRefused, ""),
        (Response(status_code=503), AuthorizationUnreachable, None),
        (Response(status_code=429), AuthorizationUnreachable, None),
    ],
)
async def test_a_refusal_is_told_from_a_server_that_is_down(
    wire: AuthorizationWire,
    protected: ProtectedServer,
    authority: AuthorizationServerFake,
    answer: Response,
    kind: type[Exception],
    code: str | None,
):
    grant = grant_of(authority, await discover(wire, config_of(protected)))
    authority.answers["/token"] = answer
    with pytest.raises(kind) as told:
        await refresh_tokens(wire, grant, "r")
    assert getattr(told.value, "code", None) == code


@pytest.mark.parametrize(
    "made",
    [
        {"client_id": "", "redirect_uris": [BACK]},
        {"client_id": "c", "redirect_uris": ["https://evil.example/"]},
        {
            "client_id": "c",
            "redirect_uris": [BACK],
            "token_endpoint_auth_method": "client_secret_post",
        },
        {
            "client_id": "c",
            "redirect_uris": [BACK],
            "token_endpoint_auth_method": "private_key_jwt",
        },
    ],
)
async def test_a_registration_that_cannot_be_used_is_none(
    wire: AuthorizationWire,
    protected: ProtectedServer,
    authority: AuthorizationServerFake,
    made: dict[str, Any],
):
    found = await discover(wire, config_of(protected))
    authority.answers["/register"] = JSONResponse(made, 201)
    with pytest.raises(AuthorizationFailed):
        await register_client(wire, found.server, redirect_url=BACK, scopes=(), home=protected.url)


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        ({"redirect_uris": None}, None),
        ({"client_secret_expires_at": 0}, None),
        ({"client_secret_expires_at": 10**400}, None),
        ({"client_secret_expires_at": -(10**400)}, None),
        ({"client_secret_expires_at": 2_000_000_000}, 2e9),
    ],
    ids=["no address", "never", "far", "negative", "some day"],
)
async def test_what_a_registration_says_besides_does_no_harm(
    wire: AuthorizationWire,
    protected: ProtectedServer,
    authority: AuthorizationServerFake,
    said: dict[str, Any],
    ends: float | None,
):
    found = await discover(wire, config_of(protected))
    made = {
        "client_id": "c",
        "client_secret": "s",
        "token_endpoint_auth_method": "client_secret_post",
        "redirect_uris": [BACK],
        **said,
    }
    authority.answers["/register"] = JSONResponse(made, 201)
    client = await register_client(
        wire, found.server, redirect_url=BACK, scopes=(), home=protected.url
    )
    assert (client.id, client.expires_at) == ("c", ends)


async def test_where_nothing_can_be_revoked_nothing_is_asked(
    wire: AuthorizationWire, protected: ProtectedServer, authority: AuthorizationServerFake
):
    authority.metadata = {"revocation_endpoint": None}
    grant = grant_of(authority, await discover(wire, config_of(protected)))
    assert not await revoke_token(wire, grant, "t", hint="access_token")
    assert authority.count("/revoke") == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/token",
        "http://auth.example.org/token",
        "https://10.0.0.1/token",
        "https://169.254.169.254/token",
        "https://[::1]/token",
        "https://[::ffff:10.0.0.1]/token",
        "https://127.1/token",
        "https://0x7f000001/token",
        "https://user:pass@auth.example.org/token",
        "https://auth.example.org:22/token",
        "file:///etc/passwd",
        "gopher://auth.example.org/",
        "https://",
        "https://auth.example.org:99999/",
    ],
)
async def test_what_a_tool_server_names_does_not_lead_inside(url: str):
    wire = AuthorizationWire(OPEN, resolver=Names("10.0.0.1"))
    with pytest.raises(AuthorizationFailed):
        await wire.ask("POST", url, home=HOME, data={"a": "b"})


async def test_a_name_that_leads_inside_is_not_told_from_one_that_leads_nowhere():
    said = []
    for names in (Names("10.0.0.1"), Names(), Names("93.184.216.34", "127.0.0.1")):
        with pytest.raises(AuthorizationUnreachable) as told:
            await AuthorizationWire(OPEN, resolver=names).ask(
                "GET", "https://auth.example.org/", home=HOME
            )
        said.append(str(told.value))
    assert len(set(said)) == 1


async def test_without_leave_to_go_out_nobody_is_even_looked_up():
    names = Names("93.184.216.34")
    with pytest.raises(AuthorizationUnreachable):
        await AuthorizationWire(OutboundSettings(), resolver=names).ask(
            "GET", "https://auth.example.org/", home=HOME
        )
    assert names.asked == []


async def test_the_tool_servers_own_place_is_its_origin_and_not_its_host(
    authority: AuthorizationServerFake, protected: ProtectedServer
):
    wire = AuthorizationWire(OutboundSettings(), allow_plain=True)
    assert (await wire.ask("GET", f"{protected.origin}/nothing", home=protected.url)).status == 404
    with pytest.raises(AuthorizationFailed):
        await wire.ask("GET", authority.url, home=protected.url)


async def test_no_setting_opens_where_clouds_keep_a_machines_secrets():
    wire = AuthorizationWire(
        OutboundSettings(enabled=True, allow_private=(ip_network("169.254.0.0/16"),)),
        hosts=["auth.example.org", "169.254.169.254"],
        resolver=Names("169.254.169.254"),
    )
    for url in ("https://auth.example.org/", "https://169.254.169.254/"):
        with pytest.raises(AuthorizationUnreachable):
            await wire.ask("GET", url, home=HOME)


async def test_in_production_this_machine_speaks_tls_as_well(authority: AuthorizationServerFake):
    wire = AuthorizationWire(OPEN, hosts=["127.0.0.1"])
    with pytest.raises(AuthorizationFailed, match="TLS"):
        await wire.ask("GET", authority.url, home=authority.url)


async def test_a_server_that_drips_is_left(
    authority: AuthorizationServerFake,
    wire: AuthorizationWire,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("tools.authorization.wire.REQUEST_SECONDS", 0.2)
    holds = asyncio.Event()

    async def hang(*_: object) -> None:
        await holds.wait()

    authority.answers[METADATA] = hang  # type: ignore[assignment]
    with pytest.raises(AuthorizationUnreachable):
        await wire.ask("GET", f"{authority.url}{METADATA}", home=authority.url)
    holds.set()
