"""The tools, put together: which servers there are, and what of them whom may use."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from persistence.database import Database
from persistence.notifications import Notifications
from persistence.retrieval import Retriever
from server.mcp.guard import StoredDefinitions
from server.mcp.keeper import ServerKeeper, keep_servers
from server.mcp.registry import ServerRegistry
from server.security.group_memberships import GroupMemberships
from server.security.tool_policies import ToolPolicies
from server.settings import Settings
from tools.catalog import ToolCatalog, open_catalog
from tools.scope import ScopeSigner
from tools.web_server import open_web


@dataclass(frozen=True, kw_only=True)
class ToolParts:
    """What the rest of the product needs of the tools."""

    catalog: ToolCatalog
    registry: ServerRegistry
    keeper: ServerKeeper
    policies: ToolPolicies
    memberships: GroupMemberships


@asynccontextmanager
async def open_tools(
    settings: Settings,
    database: Database,
    notifications: Notifications,
    *,
    retriever: Retriever,
    signer: ScopeSigner,
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
        catalog = await enter(
            open_catalog(
                settings.mcp,
                signer=signer,
                retriever=retriever,
                web=web,
                servers=await registry.open(),
                guard=StoredDefinitions(database, hold_new_tools=settings.mcp.hold_new_tools),
            )
        )
        keeper = ServerKeeper(
            registry, catalog, notifications, refresh_seconds=settings.mcp.refresh_seconds
        )
        await enter(keep_servers(keeper))
        policies = ToolPolicies(
            database,
            unmarked=settings.mcp.unmarked_tools,
            groups_of_server=catalog.groups_of,
        )
        policies.follow(notifications)
        memberships = GroupMemberships(database)
        memberships.follow(notifications)
        yield ToolParts(
            catalog=catalog,
            registry=registry,
            keeper=keeper,
            policies=policies,
            memberships=memberships,
        )
