"""Who may use which route: one table, held to the routes by how they are made and by a test."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Access = Literal["public", "user", "root"]
KeyScope = Literal[
    "chat",
    "documents:read",
    "documents:write",
    "groups:read",
    "groups:write",
    "tools",
    "account",
    "audit",
    "admin",
]
"""What an API key can be restricted to; a key without any may do whatever its user may."""
KEY_SCOPES: tuple[KeyScope, ...] = get_args(KeyScope)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Whom a route lets in. What belongs to whom is decided further in, by `AccessScope`."""

    access: Access
    scopes: tuple[KeyScope, ...] = ()
    """What a restricted key must carry, all of it; with none any key of a user will do."""


_PUBLIC = Policy(access="public")


def _user(*scopes: KeyScope) -> Policy:
    return Policy(access="user", scopes=scopes)


def _root(*scopes: KeyScope) -> Policy:
    return Policy(access="root", scopes=scopes)


POLICIES: Mapping[str, Policy] = {
    "GET /health": _PUBLIC,
    "HEAD /health": _PUBLIC,
    "GET /health/detailed": _root("admin"),
    # chat
    "POST /v1/chat": _user("chat"),
    "POST /v1/chat/stream": _user("chat"),
    "WS /v1/ws/chat/{session_id}": _user("chat"),
    "GET /v1/chat/sessions": _user("chat"),
    "POST /v1/chat/sessions/search": _user("chat"),
    "GET /v1/chat/sessions/{session_id}": _user("chat"),
    "PATCH /v1/chat/sessions/{session_id}": _user("chat"),
    "DELETE /v1/chat/sessions/{session_id}": _user("chat"),
    "POST /v1/chat/sessions/{session_id}/fork": _user("chat"),
    "GET /v1/chat/sessions/{session_id}/messages/{message_id}/images/{number}": _user("chat"),
    "GET /v1/runs/{run_id}": _user("chat"),
    "GET /v1/runs/{run_id}/events": _user("chat"),
    "POST /v1/runs/{run_id}/cancel": _user("chat"),
    "POST /v1/runs/{run_id}/resume": _user("chat"),
    "GET /v1/approvals": _user("chat"),
    "POST /v1/runs/{run_id}/answers": _user("chat"),
    "GET /v1/questions": _user("chat"),
    "GET /v1/tool-contents/{content_id}": _user("chat"),
    # documents
    "POST /v1/ingest/upload": _user("documents:write"),
    "POST /v1/ingest/path": _user("documents:write"),  # paths of the server are for root
    "GET /v1/ingest/runs": _user("documents:read"),
    "GET /v1/ingest/runs/{ingest_run_id}": _user("documents:read"),
    "GET /v1/ingest/runs/{ingest_run_id}/events": _user("documents:read"),
    "POST /v1/ingest/runs/{ingest_run_id}/cancel": _user("documents:write"),
    "PUT /v1/documents/{document_id}/content": _user("documents:write"),
    "GET /v1/documents": _user("documents:read"),
    "GET /v1/documents/{document_id}": _user("documents:read"),
    "GET /v1/documents/{document_id}/content": _user("documents:read"),
    "PATCH /v1/documents/{document_id}": _user("documents:write"),
    "DELETE /v1/documents/{document_id}": _user("documents:write"),
    "POST /v1/search": _user("documents:read"),
    "GET /v1/sources/{source_id}": _user("documents:read"),
    # authentication
    "POST /v1/auth/login": _PUBLIC,
    "POST /v1/auth/auto-login": _PUBLIC,
    "GET /v1/auth/oidc/login": _PUBLIC,
    "GET /v1/auth/oidc/callback": _PUBLIC,
    "POST /v1/auth/refresh": _PUBLIC,  # its credential is the refresh token
    "POST /v1/auth/logout": _PUBLIC,  # whoever is not logged in is logged out already
    "GET /v1/auth/me": _user(),
    "GET /v1/auth/csrf-token": _user(),
    # keys and users
    "GET /v1/api-keys": _user("account"),
    "POST /v1/api-keys": _user("account"),
    "DELETE /v1/api-keys/{key_id}": _user("account"),
    "GET /v1/users": _root("admin"),
    "POST /v1/users": _root("admin"),
    "PATCH /v1/users/{user_id}": _root("admin"),
    "POST /v1/users/{user_id}/api-keys": _root("admin"),
    # one's account; what is handed out or deleted asks for the scopes of its own routes as well
    "GET /v1/account": _user("account"),
    "GET /v1/account/export": _user("account", "chat", "documents:read", "groups:read"),
    "DELETE /v1/account/history": _user("account", "chat"),
    "DELETE /v1/account": _user("account", "chat", "documents:write", "groups:write"),
    # groups; who is an admin of which is decided by the group service
    "GET /v1/groups": _user("groups:read"),
    "POST /v1/groups": _user("groups:write"),
    "GET /v1/groups/{group_id}": _user("groups:read"),
    "PATCH /v1/groups/{group_id}": _user("groups:write"),
    "DELETE /v1/groups/{group_id}": _user("groups:write"),
    "POST /v1/groups/{group_id}/members": _user("groups:write"),
    "PATCH /v1/groups/{group_id}/members/{user_id}": _user("groups:write"),
    "DELETE /v1/groups/{group_id}/members/{user_id}": _user("groups:write"),
    # figures; of whom is decided by the analytics service
    "GET /v1/analytics/dashboard": _user("account"),
    "GET /v1/analytics/tokens": _user("account"),
    "GET /v1/analytics/tools": _user("account"),
    "GET /v1/analytics/ingestion": _user("account"),
    "GET /v1/analytics/sessions/{session_id}": _user("account"),
    # rules about tool calls; who makes which is decided by their services
    "GET /v1/tool-policies": _user("tools"),
    "POST /v1/tool-policies": _user("tools"),
    "PATCH /v1/tool-policies/{policy_id}": _user("tools"),
    "DELETE /v1/tool-policies/{policy_id}": _user("tools"),
    "GET /v1/tool-limits": _user("tools"),
    "POST /v1/tool-limits": _user("tools"),
    "PATCH /v1/tool-limits/{limit_id}": _user("tools"),
    "DELETE /v1/tool-limits/{limit_id}": _user("tools"),
    # MCP; what a call asks for is decided by its service
    "POST /mcp": _user(),
    # tools and MCP servers; what a user may say of a tool is decided by the tools' service
    "GET /v1/tools": _user("tools"),
    "PATCH /v1/tools/{tool_id}": _user("tools"),
    "GET /v1/prompts": _user("tools"),
    "POST /v1/prompts/{server}/{name}": _user("tools"),
    "GET /v1/mcp/authorizations": _user("tools"),
    "POST /v1/mcp/servers/{server_id}/authorization": _user("tools"),
    "DELETE /v1/mcp/servers/{server_id}/authorization": _user("tools"),
    # the credential is what a browser brings back
    "GET /v1/mcp/authorization/callback/{server_id}": _PUBLIC,
    "GET /v1/mcp/jwks.json": _PUBLIC,
    "GET /v1/mcp/servers": _root("admin"),
    "POST /v1/mcp/servers": _root("admin"),
    "GET /v1/mcp/servers/{server_id}": _root("admin"),
    "PATCH /v1/mcp/servers/{server_id}": _root("admin"),
    "DELETE /v1/mcp/servers/{server_id}": _root("admin"),
    "POST /v1/mcp/servers/{server_id}/refresh": _root("admin"),
    "POST /v1/mcp/servers/{server_id}/approve": _root("admin"),
    # audit; root, and group admins for their groups
    "GET /v1/audit": _user("audit"),
    "GET /v1/audit/export": _user("audit"),
}
