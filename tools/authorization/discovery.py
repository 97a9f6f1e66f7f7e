"""Finds out whose word a tool server takes, and where that authorization server is."""

from collections.abc import Iterable
from dataclasses import dataclass

from mcp import types
from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
)

from tools.authorization.challenges import Challenge
from tools.authorization.metadata import (
    AuthorizationServer,
    Resource,
    read_resource,
    read_server,
)
from tools.authorization.sites import require_one_site
from tools.authorization.wire import Answer, AuthorizationWire
from tools.config import HttpServer
from tools.errors import AuthorizationFailed

_FOUND = 200
_DOWN = 500


@dataclass(frozen=True, kw_only=True)
class Discovered:
    """What there is to know before anybody is asked to authorize."""

    resource: Resource
    server: AuthorizationServer
    scopes: tuple[str, ...]
    """What a person has to grant, as far as the tool server says."""


async def discover(wire: AuthorizationWire, config: HttpServer) -> Discovered:
    """Ask the tool server, and then the authorization server that it names first.

    Raises:
        AuthorizationFailed: One of them does not answer, or not as the protocol has it.
    """
    url = str(config.url)
    challenge = Challenge.read((await _knock(wire, config)).challenge)
    places = build_protected_resource_metadata_discovery_urls(challenge.resource_metadata, url)
    body = await _first(wire, places, home=url)
    if body is None:
        raise AuthorizationFailed("it does not say who may authorize (RFC 9728)")
    resource = read_resource(body, server_url=url)
    places = build_oauth_authorization_server_metadata_discovery_urls(resource.issuer, url)
    body = await _first(wire, places, home=url)
    if body is None:
        raise AuthorizationFailed("its authorization server says nothing of itself (RFC 8414)")
    server = read_server(body, issuer=resource.issuer)
    wire.require_showable(server.authorization_endpoint)
    require_one_site(server, is_named=wire.is_named)
    return Discovered(
        resource=resource,
        server=server,
        scopes=challenge.scopes or resource.scopes,
    )


async def _knock(wire: AuthorizationWire, config: HttpServer) -> Answer:
    """Ask for a session as nobody: the refusal says where to find out more."""
    request = types.JSONRPCRequest(
        jsonrpc="2.0",
        id=0,
        method="initialize",
        params={
            "protocolVersion": types.LATEST_PROTOCOL_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "youworker", "version": "1"},
        },
    )
    url = str(config.url)
    headers = {name: value.get_secret_value() for name, value in config.headers.items()}
    headers["Accept"] = "application/json, text/event-stream"
    return await wire.ask(
        "POST",
        url,
        home=url,
        headers=headers,
        json=request.model_dump(mode="json"),
        reads=False,
    )


async def _first(wire: AuthorizationWire, places: Iterable[str], *, home: str) -> bytes | None:
    """Return what is at the first of these addresses where there is something."""
    for place in dict.fromkeys(places):
        answer = await wire.ask("GET", place, home=home)
        if answer.status == _FOUND:
            return answer.body
        if answer.status >= _DOWN:
            raise AuthorizationFailed(f"it answers with HTTP status {answer.status}")
    return None
