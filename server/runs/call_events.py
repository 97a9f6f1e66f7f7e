"""What happens while a tool is being called, as clients see it."""

from typing import Any

from graph.events import Log, QuestionClosed, QuestionOpened, ToolProgress


def call_event(
    event: ToolProgress | Log | QuestionOpened | QuestionClosed,
) -> tuple[str, dict[str, Any]]:
    """The name and the data of a run's event; what there is not to tell is left out."""
    match event:
        case ToolProgress():
            return "tool", _without_nothing(
                tool=event.tool,
                call_id=event.call_id,
                status="progress",
                progress=event.progress,
                total=event.total,
                message=event.message,
            )
        case Log():
            return "log", _without_nothing(
                level=event.level, message=event.message, tool=event.tool, call_id=event.call_id
            )
        case QuestionOpened():
            return "question", _without_nothing(
                question_id=event.question_id,
                call_id=event.call_id,
                tool=event.tool,
                kind=event.kind,
                message=event.message,
                schema=event.schema,
                url=event.url,
                status="open",
                expires_at=event.expires_at.isoformat(),
            )
        case QuestionClosed():
            return "question", {"question_id": event.question_id, "status": event.status}


def _without_nothing(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
