"""Which product is evaluated, and how it is reached."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from evals.target.in_process import open_in_process
from evals.target.product import Product
from server.cli.connection import Connection
from server.settings import Settings
from tools.origins import is_loopback

REACH = "/health"


@dataclass(frozen=True, kw_only=True)
class Target:
    """The product that is to be evaluated."""

    url: str | None = None
    """Without it, the product is started in this process."""
    key: str | None = field(default=None, repr=False)
    concurrency: int = 1
    """How many questions may be open at a time."""
    tools_host: str | None = None
    """The address of this machine at which the product can reach tools that samples bring."""

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, as far as its address tells."""
        return self.url is None or is_loopback(urlsplit(self.url).hostname or "")

    @property
    def name(self) -> str:
        """As records name it."""
        return self.url or "in process"


@asynccontextmanager
async def open_target(target: Target, settings: Settings) -> AsyncIterator[Product]:
    """Opens it.

    Raises:
        TargetFailed: It does not start, or there is nobody at its address.
        ConfigurationError: An address was given without a key, and there is none here.
    """
    if target.url is None:
        async with open_in_process(settings) as here, _connected(here, target) as product:
            yield product
    else:
        connection = Connection.choose(settings, target.url, target.key, create=False)
        async with _connected(connection, target) as product:
            yield product


@asynccontextmanager
async def _connected(connection: Connection, target: Target) -> AsyncIterator[Product]:
    product = Product(connection, concurrency=target.concurrency)
    try:
        await product.request("GET", REACH)
        yield product
    finally:
        product.close()
