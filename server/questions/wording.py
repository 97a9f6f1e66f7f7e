"""From what a server asks to what a person is shown."""

from graph.approvals import ProposedCall
from graph.hearing import PersonQuestion
from persistence.question_records import NewQuestion
from persistence.visible_text import show
from server.questions.addresses import read_address
from server.questions.forms import read_form
from tools.errors import RequestDeclined

MESSAGE_MAX_CHARS = 4_000


def as_shown(call: ProposedCall, asked: PersonQuestion) -> NewQuestion:
    """The question with nothing in it that hides, and no longer than a person reads.

    Raises:
        RequestDeclined: It is not one that can be shown.
    """
    message = show(asked.message).strip()
    if not message:
        raise RequestDeclined("The question is empty.")
    return NewQuestion(
        call_id=call.call_id,
        tool=call.tool,
        server=server_of(call),
        kind=asked.kind,
        message=_cut(message),
        schema=read_form(asked.schema or {}) if asked.kind == "form" else None,
        url=read_address(asked.url or "") if asked.kind == "url" else None,
    )


def server_of(call: ProposedCall) -> str:
    """The name of the server whose tool is called; there is no dot in it."""
    return call.tool.partition(".")[0]


def _cut(message: str) -> str:
    left = len(message) - MESSAGE_MAX_CHARS
    if left <= 0:
        return message
    return f"{message[:MESSAGE_MAX_CHARS]}\n… ({left} more characters are not shown)"
