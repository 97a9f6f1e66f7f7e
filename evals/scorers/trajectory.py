"""A judge of which tools were called, in agentevals' modes.

strict: the expected calls, in their order, and no others. unordered: the same in any order. subset:
none but expected calls. superset: all expected calls, and perhaps others. Each call counts once. An
empty list of expected calls means that no tool is needed: then any call is wrong, in every mode.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from evals.scorers.text import plain
from evals.scorers.verdict import Expectation, Judge, Verdict, verdict
from evals.target.answer import Answer, CalledTool


class TrajectoryOptions(BaseModel):
    """How calls and their arguments are compared."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["strict", "unordered", "subset", "superset"] = "strict"
    arguments: Literal["exact", "ignore", "subset", "superset"] = "superset"
    """superset: a call may have more arguments than are expected; subset: fewer."""


def tool_trajectory(options: TrajectoryOptions) -> Judge:
    """The calls are those of `expect.calls`, as the mode says."""

    def judge(answer: Answer, expected: Expectation) -> Verdict | None:
        wanted = expected.more.get("calls")
        if wanted is None:
            return None
        pairs = [
            [fits(call, each, how=options.arguments) for each in wanted] for call in answer.calls
        ]
        right = _holds(options.mode, pairs, len(wanted))
        return verdict(right, f"expected {_told(wanted)}, called {_called(answer.calls)}")

    return judge


def fits(call: CalledTool, wanted: Mapping[str, Any], *, how: str) -> bool:
    """Whether a call is the one that is expected."""
    if call.name != wanted["tool"]:
        return False
    given, asked = call.arguments, wanted.get("arguments")
    if how == "ignore" or asked is None:
        return True
    if how in {"exact", "subset"} and not given.keys() <= asked.keys():
        return False
    if how in {"exact", "superset"} and not asked.keys() <= given.keys():
        return False
    return all(argument_fits(given[name], asked[name]) for name in given.keys() & asked.keys())


def argument_fits(given: Any, asked: Any) -> bool:
    """Whether an argument is right: equal, or as `$any_of`, `$includes` or `$regex` say."""
    match asked:
        case {"$any_of": list(choices), **rest} if not rest:
            return any(argument_fits(given, each) for each in choices)
        case {"$includes": str(part), **rest} if not rest:
            return plain(part, ignore_case=True) in plain(str(given), ignore_case=True)
        case {"$regex": str(pattern), **rest} if not rest:
            return re.search(pattern, str(given), re.IGNORECASE) is not None
        case str() if isinstance(given, str):
            return plain(given, ignore_case=True) == plain(asked, ignore_case=True)
        case bool() | None:
            return given is asked
    return not isinstance(given, bool) and bool(given == asked)


def _holds(mode: str, pairs: Sequence[Sequence[bool]], wanted: int) -> bool:
    called = len(pairs)
    if wanted == 0:
        return called == 0
    if mode == "strict":
        return called == wanted and all(pairs[place][place] for place in range(called))
    matched = _most_pairs(pairs, wanted)
    return {
        "unordered": matched == called == wanted,
        "subset": matched == called,
        "superset": matched == wanted,
    }[mode]


def _most_pairs(pairs: Sequence[Sequence[bool]], wanted: int) -> int:
    """How many calls find an expected one of their own, at best (augmenting paths)."""
    taken: dict[int, int] = {}

    def place(call: int, seen: set[int]) -> bool:
        for each in range(wanted):
            if pairs[call][each] and each not in seen:
                seen.add(each)
                if each not in taken or place(taken[each], seen):
                    taken[each] = call
                    return True
        return False

    return sum(place(call, set()) for call in range(len(pairs)))


def _told(wanted: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{each['tool']}({each.get('arguments', '…')})" for each in wanted) or "none"


def _called(calls: Sequence[CalledTool]) -> str:
    return ", ".join(f"{each.name}({each.arguments})" for each in calls) or "none"
