"""The ASGI application, assembled from resources that are open already."""

from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.routing import Route

from server.account.routes import router as account_router
from server.analytics.routes import router as analytics_router
from server.approvals.routes import router as approvals_router
from server.audit.routes import router as audit_router
from server.auth.routes import router as auth_router
from server.chat.image_routes import router as images_router
from server.chat.message_body import MessageReader
from server.chat.message_memory import MessageMemory
from server.chat.open_sockets import OpenSockets
from server.chat.routes import router as chat_router
from server.chat.session_routes import router as sessions_router
from server.chat.websocket import router as socket_router
from server.documentation import install_documentation
from server.documents.content_routes import router as contents_router
from server.documents.ingest_routes import router as ingest_router
from server.documents.routes import router as documents_router
from server.doors import add_doors
from server.error_responses import install_error_answers
from server.groups.routes import router as groups_router
from server.health.routes import router as health_router
from server.mcp.routes import router as mcp_servers_router
from server.mcp.tool_routes import router as tools_router
from server.mcp_endpoint.routes import McpEndpoint
from server.mcp_oauth.cookie import AuthorizationCookies
from server.mcp_oauth.routes import router as authorizations_router
from server.openapi import describe_fully
from server.prompts.routes import router as prompts_router
from server.questions.routes import router as questions_router
from server.resources import Resources
from server.runs.routes import router as runs_router
from server.sso.routes import router as sso_router
from server.tool_contents.routes import router as tool_contents_router
from server.tool_limits.routes import router as tool_limits_router
from server.tool_policies.routes import router as tool_policies_router
from server.users.routes import router as users_router

_ROUTERS = (
    auth_router,
    chat_router,
    sessions_router,
    images_router,
    socket_router,
    runs_router,
    documents_router,
    contents_router,
    ingest_router,
    approvals_router,
    questions_router,
    groups_router,
    tool_policies_router,
    tool_limits_router,
    authorizations_router,
    mcp_servers_router,
    tools_router,
    prompts_router,
    tool_contents_router,
    sso_router,
    users_router,
    account_router,
    audit_router,
    health_router,
    analytics_router,
)

DESCRIPTION = """An on-premise AI agent: it reasons with a local model, calls tools over MCP and
searches the documents that its users may see.

Send an API key as `Authorization: Bearer <key>` or `X-API-Key`. Every error has the form
`{"error": {"message", "code", "details"}}`; a thing that you may not see is 404. Every answer
carries `X-Correlation-ID`."""


def create_app(resources: Resources) -> FastAPI:
    """Builds the application; whoever opened the resources closes them."""
    app = FastAPIOffline(  # has the scripts and styles of the documentation's pages
        docs_url=None,
        redoc_url=None,
        title="YouWorker",
        version=version("youworker"),
        description=DESCRIPTION,
        redirect_slashes=False,  # a redirect would go wherever the Host header says
    )
    app.state.services = {type(service): service for service in _services(resources)}
    for router in _ROUTERS:
        app.include_router(router)
    if resources.settings.mcp.endpoint:
        app.router.routes.append(_mcp_route(resources))
    install_error_answers(app)
    describe_fully(app)
    install_documentation(app)
    add_doors(app, resources)
    return app


def _mcp_route(resources: Resources) -> Route:
    api = resources.settings.api
    endpoint = McpEndpoint(
        resources.mcp,
        allowed_origins=api.cors_origins,
        heartbeat_seconds=api.heartbeat_seconds,
    )
    return Route(endpoint.path, endpoint)


def _services(resources: Resources) -> tuple[object, ...]:
    """What the routes ask for, each by its type."""
    api = resources.settings.api
    return (
        api,
        MessageReader(small_bytes=api.max_body_bytes),
        MessageMemory(),
        OpenSockets(max_per_user=api.max_sockets_per_user),
        resources.doors.auth,
        resources.doors.authenticator,
        resources.doors.cookies,
        resources.doors.sso,
        resources.doors.attempt_cookie,
        resources.revocation,
        resources.chat,
        resources.answers,
        resources.sessions,
        resources.approvals,
        resources.questions,
        resources.tool_policies,
        resources.tool_limits,
        resources.mcp_servers,
        resources.authorizations,
        resources.identities,
        AuthorizationCookies(secure=resources.settings.production),
        resources.tools,
        resources.prompts,
        resources.tool_contents,
        resources.feed,
        resources.runs,
        resources.documents,
        resources.ingestion,
        resources.editor,
        resources.contents,
        resources.groups,
        resources.users,
        resources.account,
        resources.audit,
        resources.health,
        resources.analytics,
    )
