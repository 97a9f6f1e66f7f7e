"""The tables, as SQLAlchemy Core knows them."""

from persistence.models.accounts import api_keys, identities, login_sessions, users
from persistence.models.approvals import approvals, tool_limits, tool_policies
from persistence.models.audit import audit_log, audit_seals, audit_unsealed
from persistence.models.authorizations import (
    mcp_authorization_attempts,
    mcp_authorizations,
    mcp_clients,
)
from persistence.models.base import metadata
from persistence.models.conversations import (
    chat_sessions,
    message_images,
    messages,
    model_calls,
    run_events,
    runs,
    tool_runs,
)
from persistence.models.documents import documents
from persistence.models.groups import group_members, groups
from persistence.models.ingestion import ingest_files, ingest_runs
from persistence.models.keys import wrapped_keys
from persistence.models.limits import rate_limits
from persistence.models.mcp import mcp_server_groups, mcp_servers, mcp_tools
from persistence.models.questions import questions
from persistence.models.tool_contents import tool_contents
from persistence.models.usage import usage_days, usage_facts, usage_totals
from persistence.models.vectors import vector_collections

__all__ = [
    "api_keys",
    "approvals",
    "audit_log",
    "audit_seals",
    "audit_unsealed",
    "chat_sessions",
    "documents",
    "group_members",
    "groups",
    "identities",
    "ingest_files",
    "ingest_runs",
    "login_sessions",
    "mcp_authorization_attempts",
    "mcp_authorizations",
    "mcp_clients",
    "mcp_server_groups",
    "mcp_servers",
    "mcp_tools",
    "message_images",
    "messages",
    "metadata",
    "model_calls",
    "questions",
    "rate_limits",
    "run_events",
    "runs",
    "tool_contents",
    "tool_limits",
    "tool_policies",
    "tool_runs",
    "usage_days",
    "usage_facts",
    "usage_totals",
    "users",
    "vector_collections",
    "wrapped_keys",
]
