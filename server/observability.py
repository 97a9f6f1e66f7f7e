"""Structured logs with a correlation id, and nothing in them that a user wrote."""

import asyncio
import logging
import sys
import traceback
from pathlib import Path
from typing import Any

import structlog

_FRAMES = 8


def configure_logging(*, level: str, json: bool) -> None:
    """Sends structlog and the standard library's loggers to stderr in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _drop_exception_text,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    # The MCP library quotes messages that it cannot read, in part through the root logger itself.
    handler.addFilter(lambda record: record.name != "root")
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    # Uvicorn takes a handshake that was refused in so many words for a fault of the application.
    logging.getLogger("uvicorn.error").addFilter(_is_no_refused_handshake)
    # A log line that cannot be written must not end up on stderr with everything it quoted.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in ("server", "graph", "loaders", "tools", "persistence"):
        logging.getLogger(name).setLevel(level.upper())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _is_no_refused_handshake(record: logging.LogRecord) -> bool:
    return record.msg != "ASGI callable returned without completing handshake."


def describe(error: BaseException) -> dict[str, Any]:
    """An error for the log: its kind, its causes and where it rose, never its text.

    The text of a foreign error may quote what a user wrote.
    """
    kinds = [type(error).__qualname__]
    cause = error.__cause__ or error.__context__
    while cause is not None and len(kinds) < _FRAMES:
        kinds.append(type(cause).__qualname__)
        cause = cause.__cause__ or cause.__context__
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return {
        "error": " < ".join(kinds),
        "at": [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames],
    }


def log_stray_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handles what nobody awaited; asyncio's own handler writes the error's text into the log."""
    error = context.get("exception")
    described = describe(error) if isinstance(error, BaseException) else {}
    structlog.get_logger(__name__).error("stray_error", **described)


def _drop_exception_text(
    _: Any, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Replaces a traceback, whose last line quotes the error, by its description."""
    exc_info = event.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        event.update(describe(error))
    record = event.get("_record")
    if isinstance(record, logging.LogRecord):
        record.exc_info = None
        record.exc_text = None
    return event
