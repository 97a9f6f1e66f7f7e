"""What was said in a session, as a sample."""

import re
from collections.abc import Sequence
from typing import Any

from evals.errors import UsageMistake
from evals.sessions.reading import Turn

TAG = "from-session"
ID_CHARS_MAX = 24
"""Of the session's own id, which a client may have chosen long."""


def choose_turns(
    turns: Sequence[Turn], *, message: int | None, without_images: bool
) -> Sequence[Turn]:
    """The conversation up to a message, counted from 1; all of it without one.

    Raises:
        UsageMistake: There is no such message, or one holds what no sample can.
    """
    if not turns:
        raise UsageMistake("nothing was said in this session.")
    if message is not None and message > len(turns):
        raise UsageMistake(f"--message {message}: you have said {len(turns)} in this session.")
    chosen = turns[:message]
    seen = [str(n) for n, turn in enumerate(chosen, 1) if turn.images]
    mute = [str(n) for n, turn in enumerate(chosen, 1) if not turn.text.strip()]
    if seen and not without_images:
        raise UsageMistake(
            f"images cannot go into a sample: of message {', '.join(seen)}. "
            "Leave them out with --without-images, or end before with --message."
        )
    if mute:
        raise UsageMistake(f"message {', '.join(mute)} has no words: end before with --message.")
    return chosen


def make_sample(
    turns: Sequence[Turn], *, name: str, tags: Sequence[str], expects: bool
) -> dict[str, Any]:
    """A sample that puts the same messages.

    Args:
        turns: What was said.
        name: The sample's id.
        tags: Besides the one that says where it is from.
        expects: Whether it is right to call the same tools and to find what was cited.
    """
    texts = [turn.text for turn in turns]
    sample: dict[str, Any] = {
        "id": name,
        "input": texts[0] if len(texts) == 1 else texts,
        "tags": list(dict.fromkeys([TAG, *tags])),
    }
    if expects:
        sample["expect"] = _expectations(turns)
    return sample


def id_of(session_id: str, turns: Sequence[Turn]) -> str:
    """A name by which the session is found again."""
    clean = re.sub(r"[^A-Za-z0-9_.-]", "-", session_id)[:ID_CHARS_MAX]
    return f"session-{clean}-{len(turns)}"


def _expectations(turns: Sequence[Turn]) -> dict[str, Any]:
    calls: list[dict[str, Any]] = []
    for turn in turns:
        for call in turn.calls:
            arguments = {"arguments": call.arguments} if turn.knows_arguments else {}
            calls.append({"tool": call.name, **arguments})
    cited = dict.fromkeys(name for turn in turns for name in turn.cited)
    return {"calls": calls, **({"relevant": list(cited)} if cited else {})}
