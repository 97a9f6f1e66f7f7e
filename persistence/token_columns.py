"""Where the database keeps encrypted values: all of it, said once."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column

from persistence.models import (
    api_keys,
    approvals,
    audit_log,
    chat_sessions,
    documents,
    groups,
    ingest_files,
    ingest_runs,
    mcp_authorization_attempts,
    mcp_authorizations,
    mcp_clients,
    mcp_servers,
    mcp_tools,
    message_images,
    messages,
    questions,
    run_events,
    runs,
    tool_contents,
    tool_limits,
    tool_policies,
    tool_runs,
    wrapped_keys,
)


@dataclass(frozen=True, kw_only=True)
class TokenColumn:
    """A column of tokens, and what names a row."""

    table: str
    column: str
    key: tuple[str, ...]
    json_field: str | None = None
    """The one field of the JSON that the column holds, when the token is in there."""

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


def _of(column: Column[Any]) -> TokenColumn:
    key = tuple(each.name for each in column.table.primary_key.columns)
    return TokenColumn(table=column.table.name, column=column.name, key=key)


_THREAD = ("thread_id", "checkpoint_ns")
CHECKPOINT_COLUMNS = (
    TokenColumn(
        table="checkpoints",
        column="metadata",
        key=(*_THREAD, "checkpoint_id"),
        json_field="fernet",
    ),
    TokenColumn(table="checkpoint_blobs", column="blob", key=(*_THREAD, "channel", "version")),
    TokenColumn(
        table="checkpoint_writes", column="blob", key=(*_THREAD, "checkpoint_id", "task_id", "idx")
    ),
)
WRAPPED_KEYS = _of(wrapped_keys.c.token)
"""Rotated last: until everything else is, the old key is still needed to start."""
TOKEN_COLUMNS = (
    _of(api_keys.c.name),
    _of(groups.c.body),
    _of(documents.c.body),
    _of(chat_sessions.c.session_id),
    _of(chat_sessions.c.title),
    _of(chat_sessions.c.metadata),
    _of(messages.c.body),
    _of(message_images.c.body),
    _of(runs.c.input),
    _of(run_events.c.body),
    _of(tool_runs.c.body),
    _of(tool_contents.c.facts),
    _of(tool_contents.c.body),
    _of(tool_policies.c.body),
    _of(tool_limits.c.body),
    _of(approvals.c.body),
    _of(approvals.c.decision),
    _of(questions.c.body),
    _of(questions.c.answer),
    _of(ingest_runs.c.body),
    _of(ingest_files.c.body),
    _of(ingest_files.c.error),
    _of(mcp_servers.c.body),
    _of(mcp_tools.c.body),
    _of(mcp_tools.c.held_body),
    _of(mcp_authorizations.c.body),
    _of(mcp_authorization_attempts.c.body),
    _of(mcp_clients.c.body),
    _of(audit_log.c.body),
    *CHECKPOINT_COLUMNS,
    WRAPPED_KEYS,
)
