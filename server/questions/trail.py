"""What the audit trail keeps of questions."""

from persistence.question_records import Question


def describe_question(question: Question, **more: str) -> dict[str, str]:
    """What the audit trail keeps of a question; nothing that was said."""
    return {
        "run_id": str(question.run_id),
        "call_id": question.call_id,
        "tool": question.tool,
        "server": question.server,
        "kind": question.kind,
        **more,
    }
