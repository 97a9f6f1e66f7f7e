"""An OpenID provider whose every word a test can twist, over real HTTP on loopback.

Left alone it keeps to the protocol, PKCE and single use of codes included.
"""

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import Key, KeySet, RSAKey

CLIENT_ID = "youworker"
CLIENT_SECRET = "a secret between the two"

Claims = dict[str, Any]


def new_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


def sign(claims: Claims, key: Key, *, alg: str = "RS256") -> str:
    header = {"alg": alg, "kid": key.kid or ""}
    return jwt.encode(header, claims, key, algorithms=[alg])


@dataclass(kw_only=True)
class IssuedCode:
    """What the provider remembers of a code."""

    challenge: str
    nonce: str
    redirect_uri: str


@dataclass(kw_only=True)
class ScriptedProvider:
    """`async with ScriptedProvider() as provider:`; whoever comes is the user that it names."""

    user: Claims = field(
        default_factory=lambda: {
            "sub": "subject-1",
            "preferred_username": "ada",
            "groups": ["engineers"],
        }
    )
    key: RSAKey = field(default_factory=lambda: new_key("first"))
    forge: Callable[[Claims], str] | None = None
    """Makes the ID token of the claims; None signs them with the key."""
    discovery: dict[str, Any] = field(default_factory=dict)
    """Laid over the discovery document."""
    token_answer: Callable[[], web.StreamResponse] | None = None
    """Answers in place of the token endpoint."""
    public_client: bool = False
    """Whether the client has no secret."""
    names_itself: bool = False
    hanging: set[str] = field(default_factory=set)
    """Paths that never answer."""
    asked: list[str] = field(default_factory=list)
    """Paths that were asked for, oldest first."""
    token_requests: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._codes: dict[str, IssuedCode] = {}
        self._runner: web.AppRunner | None = None

    @property
    def issuer(self) -> str:
        assert self._runner is not None
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._watch])
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        app.router.add_get("/keys", self._keys)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def id_claims(self, nonce: str, **more: Any) -> Claims:
        now = int(time.time())
        own = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce}
        return own | self.user | more

    @web.middleware
    async def _watch(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path in self.hanging:
            await asyncio.Event().wait()
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _discovery(self, _request: web.Request) -> web.Response:
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_response_iss_parameter_supported": self.names_itself,
        }
        return web.json_response(document | self.discovery)

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.json_response(KeySet([self.key]).as_dict(private=False))

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = request.query
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = IssuedCode(
            challenge=asked["code_challenge"],
            nonce=asked["nonce"],
            redirect_uri=asked["redirect_uri"],
        )
        answer = {"code": code, "state": asked["state"]}
        if self.names_itself:
            answer["iss"] = self.issuer
        return web.Response(
            status=302, headers={"Location": f"{asked['redirect_uri']}?{urlencode(answer)}"}
        )

    async def _token(self, request: web.Request) -> web.StreamResponse:
        if self.token_answer is not None:
            return self.token_answer()
        sent = {name: str(value) for name, value in (await request.post()).items()}
        self.token_requests.append(sent)
        credentials = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        expected = None if self.public_client else f"Basic {credentials}"
        if request.headers.get("Authorization") != expected:
            return web.json_response({"error": "invalid_client"}, status=401)
        issued = self._codes.get(sent["code"])
        digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            issued is None
            or issued.challenge != proof
            or issued.redirect_uri != sent["redirect_uri"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        del self._codes[sent["code"]]
        claims = self.id_claims(issued.nonce)
        id_token = self.forge(claims) if self.forge else sign(claims, self.key)
        return web.json_response(
            {"access_token": "an access token", "token_type": "Bearer", "id_token": id_token}
        )
