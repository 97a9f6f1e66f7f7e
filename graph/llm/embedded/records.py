"""The records that Ollama's clients expect."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from graph.llm.embedded.chat import ToolCalls
from graph.llm.embedded.engine import Finish


def created_at() -> str:
    """The time of a record."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def text_record(model: str, field: str, text: str) -> dict[str, Any]:
    """A piece of an answer: `field` is `message` for chat and `response` for generate."""
    content: Any = {"role": "assistant", "content": text} if field == "message" else text
    return {"model": model, "created_at": created_at(), field: content, "done": False}


def tool_record(model: str, wanted: ToolCalls) -> dict[str, Any]:
    """The tools that are to be called."""
    calls = [
        {"function": {"name": call.tool, "arguments": call.arguments}} for call in wanted.calls
    ]
    record = text_record(model, "message", "")
    record["message"]["tool_calls"] = calls
    return record


def done_record(model: str, field: str, finish: Finish, started_ns: int) -> dict[str, Any]:
    """The end of an answer, with its counts."""
    return text_record(model, field, "") | {
        "done": True,
        "done_reason": finish.reason,
        "total_duration": time.monotonic_ns() - started_ns,
        "load_duration": 0,
        "prompt_eval_count": finish.prompt_tokens,
        "prompt_eval_duration": finish.prompt_ns,
        "eval_count": finish.tokens,
        "eval_duration": finish.generation_ns,
    }


def join_records(records: Sequence[dict[str, Any]], field: str) -> dict[str, Any]:
    """One record for clients that do not stream."""
    whole = dict(records[-1])
    if field == "message":
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(record["message"]["content"] for record in records),
        }
        calls = [call for record in records for call in record["message"].get("tool_calls") or ()]
        whole["message"] = message | ({"tool_calls": calls} if calls else {})
    else:
        whole["response"] = "".join(record["response"] for record in records)
    return whole
