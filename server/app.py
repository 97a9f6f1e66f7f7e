"""The ASGI application, assembled from resources that are open already."""

from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.bootstrap import Resources
from server.chat.routes import router as chat_router
from server.documents.routes import router as documents_router
from server.error_responses import install_error_answers
from server.health.routes import router as health_router
from server.middleware.body_limit import BodyLimitMiddleware
from server.middleware.correlation import CorrelationMiddleware
from server.users.routes import router as users_router

DESCRIPTION = """An on-premise AI agent: it reasons with a local model, calls tools over MCP and
searches the documents that its users may see.

Send an API key as `Authorization: Bearer <key>` or `X-API-Key`. Every error has the form
`{"error": {"message", "code", "details"}}`; a thing that you may not see is 404. Every answer
carries `X-Correlation-ID`."""

UPLOAD_PATH = "/v1/ingest/upload"
FORM_OVERHEAD_BYTES = 1024 * 1024
DOCUMENTATION_PATHS = frozenset({"/docs", "/redoc"})
OWN_RESOURCES_ALONE = "default-src 'self' 'unsafe-inline' data: blob:"


class _OfflinePagesMiddleware:
    """Forbids the documentation pages to load anything from elsewhere.

    They come with their scripts, but ReDoc's asks for its maker's logo.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Adds the policy to the answers of these pages."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = OWN_RESOURCES_ALONE
            await send(message)

        documentation = scope["type"] == "http" and scope["path"] in DOCUMENTATION_PATHS
        await self._app(scope, receive, send_with_policy if documentation else send)


def create_app(resources: Resources) -> FastAPI:
    """Builds the application; whoever opened the resources closes them."""
    settings = resources.settings
    app = FastAPIOffline(  # its /docs and /redoc load nothing from elsewhere
        title="YouWorker",
        version=version("youworker"),
        description=DESCRIPTION,
        redirect_slashes=False,  # a redirect would go wherever the Host header says
    )
    app.state.services = {
        type(service): service
        for service in (
            settings.api,
            resources.authenticator,
            resources.chat,
            resources.documents,
            resources.users,
            resources.health,
        )
    }
    for router in (chat_router, documents_router, users_router):
        app.include_router(router, prefix="/v1")
    app.include_router(health_router)
    install_error_answers(app)
    limits = {UPLOAD_PATH: settings.api.max_upload_bytes + FORM_OVERHEAD_BYTES}
    app.add_middleware(
        BodyLimitMiddleware,
        limit_for=lambda path: limits.get(path, settings.api.max_body_bytes),
    )
    app.add_middleware(_OfflinePagesMiddleware)
    app.add_middleware(CorrelationMiddleware)
    return app
