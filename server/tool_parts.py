"""The tools, put together: which servers there are, and what of them whom may use."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from persistence.database import Database
from persistence.notifications import Notifications
from persistence.retrieval import Retriever
from server.authorization_parts import open_authorizations
from server.mcp.guard import StoredDefinitions
from server.mcp.keeper import ServerKeeper, keep_servers
from server.mcp.registry import ServerRegistry
from server.mcp.service import McpServerService
from server.mcp_oauth.service import AuthorizationService
from server.prompts.service import PromptService
from server.rule_parts import RuleParts, follow_rules
from server.security.identity_tokens import IdentityTokens
from server.settings import Settings
from tools.catalog import ToolCatalog, open_catalog
from tools.prompts import open_prompts
from tools.scope import ScopeSigner
from tools.web_server import open_web


@dataclass(frozen=True, kw_only=True)
class ToolParts:
    """What the rest of the product needs of the tools."""

    catalog: ToolCatalog
    servers: McpServerService
    rules: RuleParts
    prompts: PromptService
    authorizations: AuthorizationService
    identities: IdentityTokens


@asynccontextmanager
async def open_tools(
    settings: Settings,
    database: Database,
    notifications: Notifications,
    *,
    retriever: Retriever,
    signer: ScopeSigner,
    jwt_secret: str,
) -> AsyncIterator[ToolParts]:
    """Open the catalog, and follow what is decided about it on any replica.

    Raises:
        ToolsError: The servers file or the search of the web cannot be used.
        PersistenceError: What is stored of the servers cannot be had.
    """
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        web = (
            await enter(open_web(settings.web, settings.outbound)) if settings.offers_web else None
        )
        registry = ServerRegistry(database, settings.mcp)
        granted = await enter(open_authorizations(settings, database))
        catalog = await enter(
            open_catalog(
                settings.mcp,
                signer=signer,
                retriever=retriever,
                web=web,
                servers=await registry.open(),
                guard=StoredDefinitions(database, hold_new_tools=settings.mcp.hold_new_tools),
                authorize=granted.authorize,
            )
        )
        authorizations = await enter(granted.serve(catalog, notifications))
        prompts = await enter(open_prompts(catalog, call_seconds=settings.mcp.call_timeout_seconds))
        keeper = ServerKeeper(
            registry, catalog, notifications, refresh_seconds=settings.mcp.refresh_seconds
        )
        await enter(keep_servers(keeper))
        yield ToolParts(
            catalog=catalog,
            servers=McpServerService(
                database,
                catalog,
                registry,
                keeper,
                allow_stdio=settings.mcp.allow_stdio_by_api,
            ),
            rules=follow_rules(settings.mcp, database, notifications, catalog),
            prompts=PromptService(database, catalog, prompts),
            authorizations=authorizations,
            identities=granted.identities(jwt_secret),
        )
