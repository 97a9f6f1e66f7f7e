"""The rules about tools, put together: what may be called, and what calls may take."""

from dataclasses import dataclass

from persistence.database import Database
from persistence.notifications import Notifications
from server.security.group_memberships import GroupMemberships
from server.security.tool_access import ToolAccess
from server.security.tool_defaults import UnruledCalls
from server.security.tool_limits import ToolLimits
from server.security.tool_policies import ToolPolicies
from server.tool_limits.service import ToolLimitService
from server.tool_policies.service import ToolPolicyService
from tools.catalog import ToolCatalog
from tools.settings import McpSettings


@dataclass(frozen=True, kw_only=True)
class RuleParts:
    """What the rest of the product needs of the rules."""

    access: ToolAccess
    policies: ToolPolicies
    limits: ToolLimits
    policy_service: ToolPolicyService
    limit_service: ToolLimitService


def follow_rules(
    settings: McpSettings, database: Database, notifications: Notifications, catalog: ToolCatalog
) -> RuleParts:
    """Have rules and memberships known here as they are changed on any replica."""
    memberships = GroupMemberships(database)
    policies = ToolPolicies(
        database,
        unruled=UnruledCalls(
            unmarked=settings.unmarked_tools, open_world=settings.open_world_tools
        ),
        groups_of_server=catalog.groups_of,
    )
    limits = ToolLimits(database, memberships, calls_per_run=settings.max_calls_per_run)
    for followed in (memberships, policies, limits):
        followed.follow(notifications)
    return RuleParts(
        access=ToolAccess(catalog, policies, limits, memberships),
        policies=policies,
        limits=limits,
        policy_service=ToolPolicyService(database, policies),
        limit_service=ToolLimitService(database, limits),
    )
