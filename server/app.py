"""The ASGI application, assembled from resources that are open already."""

from importlib.metadata import version

from fastapi import FastAPI

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


def create_app(resources: Resources) -> FastAPI:
    """Builds the application; whoever opened the resources closes them."""
    settings = resources.settings
    app = FastAPI(title="YouWorker", version=version("youworker"), description=DESCRIPTION)
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
    app.add_middleware(CorrelationMiddleware)
    return app
