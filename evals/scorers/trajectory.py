"""A judge of which tools were called, in agentevals' modes.

strict: the expected calls, in their order, and no others. unordered: the same in any order. subset:
none but expected calls. superset: all expected calls, and perhaps others. Each call counts once. An
empty list of expected calls means that no tool is needed: then any call is wrong, in every mode.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from evals.scorers.arguments import TextComparison, arguments_fit
from evals.scorers.verdict import Expectation, Judge, Verdict, verdict
from evals.target.answer import Answer, CalledTool


class TrajectoryOptions(TextComparison):
    """How calls and their arguments are compared."""

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
            [fits(call, each, how=options.arguments, texts=options) for each in wanted]
            for call in answer.calls
        ]
        right = _holds(options.mode, pairs, len(wanted))
        return verdict(right, f"expected {_told(wanted)}, called {_called(answer.calls)}")

    return judge


def fits(call: CalledTool, wanted: Mapping[str, Any], *, how: str, texts: TextComparison) -> bool:
    """Whether a call is the one that is expected."""
    if call.name != wanted["tool"]:
        return False
    asked = wanted.get("arguments")
    if how == "ignore" or asked is None:
        return True
    return arguments_fit(call.arguments, asked, how=how, texts=texts)


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
