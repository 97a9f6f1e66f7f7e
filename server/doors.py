"""What every request passes before its route, in order."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from server.documentation import FILES_PATH
from server.middleware.allow_list import AllowListMiddleware
from server.middleware.authentication import AuthenticationMiddleware
from server.middleware.body_limit import BodyLimitMiddleware
from server.middleware.client_address import ClientAddressMiddleware
from server.middleware.correlation import CorrelationMiddleware
from server.middleware.csrf import CsrfMiddleware
from server.middleware.rate_limit import RateLimitMiddleware
from server.middleware.security_headers import SecurityHeadersMiddleware
from server.resources import Resources
from server.security.networks import Networks

UPLOAD_PATH = "/v1/ingest/upload"
MESSAGE_PATHS = ("/v1/chat", "/v1/chat/stream")
FORM_OVERHEAD_BYTES = 1024 * 1024
CORS_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
CORS_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Last-Event-ID",
    "Mcp-Protocol-Version",
    "Mcp-Session-Id",
    "Prefer",
    "X-API-Key",
    "X-CSRF-Token",
    "X-Correlation-ID",
)
CORS_ANSWER_HEADERS = (
    "Location",
    "Mcp-Session-Id",
    "Retry-After",
    "X-Correlation-ID",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
)


def add_doors(app: FastAPI, resources: Resources) -> None:
    """Adds all middleware, the innermost first.

    Whatever is refused further in has the headers, and the consent to other origins, from further
    out. Nobody's body is read before the route has let its sender in.
    """
    api, security = resources.settings.api, resources.settings.security
    limits = {UPLOAD_PATH: api.max_upload_bytes + FORM_OVERHEAD_BYTES}
    limits |= dict.fromkeys(MESSAGE_PATHS, api.max_message_bytes)
    app.add_middleware(
        BodyLimitMiddleware, limit_for=lambda path: limits.get(path, api.max_body_bytes)
    )
    app.add_middleware(
        CsrfMiddleware, tokens=resources.doors.csrf, allowed_origins=api.cors_origins
    )
    app.add_middleware(
        RateLimitMiddleware,
        limiter=resources.doors.rate_limiter,
        user_quota=security.user_quota,
        address_quota=security.address_quota,
    )
    app.add_middleware(AuthenticationMiddleware, authenticator=resources.doors.authenticator)
    if api.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=api.cors_origins,
            allow_credentials=True,
            allow_methods=CORS_METHODS,
            allow_headers=CORS_REQUEST_HEADERS,
            expose_headers=CORS_ANSWER_HEADERS,
        )
    if security.allowed_ips:
        app.add_middleware(AllowListMiddleware, allowed=Networks(security.allowed_ips))
    app.add_middleware(SecurityHeadersMiddleware, cacheable_prefix=f"{FILES_PATH}/")
    app.add_middleware(ClientAddressMiddleware, trusted_proxies=Networks(security.trusted_proxies))
    app.add_middleware(CorrelationMiddleware)
