"""A session as whoever had it reads it over the product's API."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from evals.errors import UsageMistake
from evals.target.answer import CalledTool
from evals.target.failed_run import RunFailed
from evals.target.reading import AnswerReader
from server.cli.connection import Api, ApiFailure
from server.cli.events import read_events

PAGE = 100
"""The most that the product gives at once."""
NO_SESSION = {"SESSION_NOT_FOUND", "RESOURCE_NOT_FOUND"}
"""Of the latter kind is what no session can be called, such as a path."""
EXPIRED = "EVENTS_EXPIRED"


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One message of the user's, and what the product did about it."""

    text: str
    images: int = 0
    """They are in no sample: a sample is text."""
    is_recording: bool = False
    """Whether the text is what was understood of a recording."""
    calls: tuple[CalledTool, ...] = ()
    cited: tuple[str, ...] = ()
    """Names of the files that the answer cites."""
    knows_arguments: bool = True
    """False when the events of its run are kept no more, which alone hold arguments of calls."""


def read_session(api: Api, session_id: str) -> list[Turn]:
    """The conversation as it stands; what an edit has taken out of it is left out.

    Raises:
        UsageMistake: The key's owner has no such session.
        ApiFailure: The product refused something else, or is away.
    """
    try:
        messages = list(_messages(api, session_id))
    except ApiFailure as exc:
        if exc.code in NO_SESSION:
            raise UsageMistake(
                f"the owner of this key has no session {session_id!r}; "
                "only one's own becomes a sample."
            ) from exc
        raise
    answers = {m["run_id"]: m for m in messages if m["role"] == "assistant" and m["run_id"]}
    turns = []
    for message, following in zip(messages, [*messages[1:], None], strict=True):
        if message["role"] == "user":
            answer = answers.get(message["run_id"]) or _answer_in(following)
            turns.append(_turn(api, message, answer))
    return turns


def _messages(api: Api, session_id: str) -> Iterator[dict[str, Any]]:
    path, offset, total = f"/v1/chat/sessions/{quote(session_id, safe='')}", 0, 1
    while offset < total:
        page = api.request("GET", path, params={"limit": PAGE, "offset": offset})
        yield from page["messages"]
        offset, total = offset + PAGE, page["total"]


def _answer_in(following: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Forks know of no runs: there, the answer is what comes next."""
    return following if following and following["role"] == "assistant" else None


def _turn(api: Api, message: Mapping[str, Any], answer: Mapping[str, Any] | None) -> Turn:
    calls = _calls(api, answer["run_id"]) if answer else []
    named = calls is not None
    if calls is None and answer is not None:
        calls = [
            CalledTool(name=each["tool"], arguments={})
            for each in answer["tool_events"]
            if each["status"] == "end"
        ]
    return Turn(
        text=message["content"],
        images=len(message["images"]),
        is_recording=message["audio"] is not None,
        calls=tuple(calls or ()),
        cited=_cited(answer) if answer else (),
        knows_arguments=named,
    )


def _calls(api: Api, run_id: str | None) -> Sequence[CalledTool] | None:
    """The calls that came to an end, with their arguments; None where these are not known."""
    if run_id is None:
        return None
    reader = AnswerReader()
    try:
        with api.stream("GET", f"/v1/runs/{run_id}/events") as stream:
            for event in read_events(stream.iter_lines()):
                reader.take(event)
                if event.event == "done":
                    break
        return [each for each in reader.answer().calls if each.status == "end"]
    except RunFailed:
        return None
    except ApiFailure as exc:
        if exc.code == EXPIRED:
            return None
        raise


def _cited(answer: Mapping[str, Any]) -> tuple[str, ...]:
    labels = set(answer["citations"]["cited"])
    named = [
        each.get("filename") or each["title"]
        for each in answer["sources"]
        if each.get("cited") or each.get("label") in labels
    ]
    return tuple(dict.fromkeys(named))
