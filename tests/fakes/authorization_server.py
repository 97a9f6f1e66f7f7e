"""An authorization server of OAuth 2.1 made of the SDK's own parts, which tests have misbehave."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    RefreshToken,
    TokenError,
    construct_redirect_uri,
)
from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from tests.fakes.serving import serve_here

METADATA = "/.well-known/oauth-authorization-server"
OPENID_METADATA = "/.well-known/openid-configuration"
SCOPES = ["read", "write"]


class AuthorizationServerFake:
    """Grants whatever is asked for to `person`; refresh tokens are good for once."""

    def __init__(self) -> None:
        self.url = ""
        self.person = "nobody"
        self.refuses: str | None = None
        """The error that browsers come back with."""
        self.speaks_as: str | None = None
        """The `iss` of its answers to browsers; its own when None."""
        self.names_itself = True
        """Whether these carry one."""
        self.metadata: dict[str, Any] = {}
        """What it says beside or instead of the truth; None leaves a field out."""
        self.seconds: int | None = 3600
        """How long access tokens last."""
        self.gives_refresh_tokens = True
        self.answers: dict[str, Response] = {}
        """What comes instead, by path."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Paths with the fields of forms, in order."""
        self.may_refresh = asyncio.Event()
        self.may_refresh.set()
        self.is_refreshing = asyncio.Event()
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.access: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}
        self._codes: dict[str, AuthorizationCode] = {}

    def count(self, path: str) -> int:
        return sum(each == path for each, _ in self.asked)

    def forget_access(self) -> None:
        """Take no access token any more that was given out."""
        self.access.clear()

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        assert client_info.client_id is not None
        self.clients[client_info.client_id] = client_info

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        issuer = (self.speaks_as or self.url) if self.names_itself else None
        if self.refuses is not None:
            return construct_redirect_uri(
                str(params.redirect_uri), error=self.refuses, state=params.state, iss=issuer
            )
        assert client.client_id is not None
        code = AuthorizationCode(
            code=f"code-{secrets.token_urlsafe(24)}",
            scopes=params.scopes or [],
            expires_at=time.time() + 60,
            client_id=client.client_id,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
            subject=self.person,
        )
        self._codes[code.code] = code
        return construct_redirect_uri(
            str(params.redirect_uri), code=code.code, state=params.state, iss=issuer
        )

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self._codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        code = self._codes.pop(authorization_code.code)
        return self._give(code.client_id, code.scopes, code.resource, code.subject)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        self.is_refreshing.set()
        await self.may_refresh.wait()
        if self.refresh.pop(refresh_token.token, None) is None:
            raise TokenError("invalid_grant")
        return self._give(
            refresh_token.client_id, scopes, refresh_token.resource, refresh_token.subject
        )

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.refresh.pop(token.token, None)
        self.access.clear()

    def _give(
        self, client_id: str, scopes: list[str], resource: str | None, person: str | None
    ) -> OAuthToken:
        access, refresh = (f"{kind}-{secrets.token_urlsafe(24)}" for kind in ("access", "refresh"))
        self.access[access] = AccessToken(
            token=access, client_id=client_id, scopes=scopes, resource=resource, subject=person
        )
        if self.gives_refresh_tokens:
            self.refresh[refresh] = RefreshToken(
                token=refresh, client_id=client_id, scopes=scopes, resource=resource, subject=person
            )
        return OAuthToken(
            access_token=access,
            refresh_token=refresh if self.gives_refresh_tokens else None,
            expires_in=self.seconds,
            scope=" ".join(scopes),
        )

    async def say(self, request: Request) -> Response:
        """Publish the metadata."""
        said = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "registration_endpoint": f"{self.url}/register",
            "revocation_endpoint": f"{self.url}/revoke",
            "code_challenge_methods_supported": ["S256"],
            "response_types_supported": ["code"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "authorization_response_iss_parameter_supported": self.names_itself,
            **self.metadata,
        }
        return JSONResponse({name: value for name, value in said.items() if value is not None})

    def app(self, url: str) -> Starlette:
        self.url = url
        routes = create_auth_routes(
            self,
            AnyHttpUrl(url),
            client_registration_options=ClientRegistrationOptions(enabled=True),
            revocation_options=RevocationOptions(enabled=True),
        )
        inner = Starlette(routes=[Route(METADATA, self.say), *routes[1:]])
        app = Starlette()
        app.router.default = _Recorder(self, inner)
        return app


class _Recorder:
    def __init__(self, fake: AuthorizationServerFake, inner: Starlette) -> None:
        self._fake = fake
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        is_form = b"urlencoded" in dict(scope["headers"]).get(b"content-type", b"")
        fields = dict(parse_qsl(body.decode())) if is_form else {}
        self._fake.asked.append((scope["path"], fields))
        answer = self._fake.answers.get(scope["path"])
        if answer is not None:
            await answer(scope, receive, send)
            return

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await self._inner(scope, replay, send)


def redirect_to(url: str) -> Response:
    return RedirectResponse(url, status_code=307)


@asynccontextmanager
async def open_authorization_server() -> AsyncIterator[AuthorizationServerFake]:
    fake = AuthorizationServerFake()
    async with serve_here(fake.app):
        yield fake


async def consent(authorization_url: str) -> str:
    """Do what a person's browser does; return the path and query that it comes back with."""
    async with httpx.AsyncClient(verify=False) as browser:
        answer = await browser.get(authorization_url)
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"
