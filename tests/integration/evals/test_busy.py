"""A busy server, and those who wait for it."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from evals.target.product import Product
from server.cli.connection import Api, ApiFailure, Connection

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


class _Refusing(BaseHTTPRequestHandler):
    """Refuses as the path says: `/STATUS/RETRY-AFTER`; what is asked for again is there."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        _, status, told = self.path.split("/")
        if self.path in self.asked and status == "503":
            status = "200"
        self.asked.append(self.path)
        self.send_response(int(status))
        self.send_header("Retry-After", DATE if told == "date" else told)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def connection():
    _Refusing.asked.clear()
    with HTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever).start()
        yield Connection(url=f"http://127.0.0.1:{server.server_port}", key="k")
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/429/7", 7.0), ("/503/5", 5.0), ("/503/date", None), ("/500/5", None)],
)
def test_a_busy_server_says_when_to_come_again(connection, path, expected):
    api = Api(connection)
    with pytest.raises(ApiFailure) as failure:
        api.request("GET", path)
    api.close()
    assert failure.value.retry_after_seconds == expected


async def test_a_product_that_is_busy_is_asked_again(connection):
    product = Product(connection, concurrency=1)
    await product.request("GET", "/503/0")
    product.close()
    assert _Refusing.asked == ["/503/0", "/503/0"]
