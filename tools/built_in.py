"""The servers that are part of the product, and how all of them are reached."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mcp.server.lowlevel import Server
from mcp.types import Root

from tools.authorization.bearer import Bearer
from tools.config import StdioServer
from tools.registry import RegisteredServer
from tools.servers import datetime_, units
from tools.session_pool import SessionProfile
from tools.transports import Transport
from tools.transports.http import HttpTransport
from tools.transports.memory import MemoryTransport
from tools.transports.stdio import StdioTransport

if TYPE_CHECKING:
    from tools.scope import ScopeSigner
    from tools.servers.semantic import Search
    from tools.servers.web import WebTools

SEMANTIC = "semantic"

BuiltIn = Callable[[], Server[Any, Any]]


def built_in_servers(
    signer: "ScopeSigner | None", retriever: "Search | None", web: "WebTools | None" = None
) -> dict[str, BuiltIn]:
    """Return what builds each of them; without what they stand on, some are not there.

    Raises:
        ValueError: A retriever is given without the signer that tells who is asking.
    """
    servers: dict[str, BuiltIn] = {
        datetime_.NAME: datetime_.build_datetime_server,
        units.NAME: units.build_units_server,
    }
    if web is not None:
        servers["web"] = web.build_server
    if retriever is None:
        return servers
    if signer is None:
        raise ValueError("The document search needs the signer that tells who is asking.")
    # Only a process with documents loads what stands behind them.
    from tools.servers import semantic

    servers[semantic.NAME] = lambda: semantic.build_semantic_server(retriever, signer)
    return servers


def transport_for(
    server: RegisteredServer, built_in: dict[str, BuiltIn], bearer: Bearer | None = None
) -> Transport:
    """Return the way to a server; with whose tokens, where people authorize."""
    if server.config is None:
        return MemoryTransport(build=built_in[server.name])
    if isinstance(server.config, StdioServer):
        return StdioTransport(server.name, server.config)
    return HttpTransport(config=server.config, bearer=bearer)


def profile_for(server: RegisteredServer) -> SessionProfile:
    """Return what people's sessions with a server offer to it."""
    config = server.config
    if config is None:
        return SessionProfile()
    return SessionProfile(
        roots=tuple(Root(uri=uri) for uri in config.roots),
        elicitation=config.elicitation,
        sampling=config.sampling != "deny",
    )
