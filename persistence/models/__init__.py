"""The tables, as SQLAlchemy Core knows them."""

from persistence.models.accounts import api_keys, users
from persistence.models.audit import audit_log
from persistence.models.base import metadata
from persistence.models.conversations import chat_sessions, messages, runs, tool_runs
from persistence.models.documents import documents

__all__ = [
    "api_keys",
    "audit_log",
    "chat_sessions",
    "documents",
    "messages",
    "metadata",
    "runs",
    "tool_runs",
    "users",
]
