"""How often the configured model chooses the right tool with the right arguments.

    python -m evals.tool_choice [--set tuning|held_out] [--fail-under 0.9] [--failures]

The prompts are in evals/data/tool_prompts.json, and are put to the model itself, with none of the
product in between. They are judged by `tool_trajectory`, as those of a suite are. The embedded
model's router was tuned on the set `tuning` only; `held_out` was written before that and not looked
at. Exit code 1 means that a set stayed below the threshold.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from evals.numbers.estimates import LEVEL, estimate
from evals.scorers.trajectory import TrajectoryOptions, tool_trajectory
from evals.scorers.verdict import Expectation, ask_judge
from evals.target.answer import Answer, CalledTool
from graph.llm.chat_model import ServedModel, open_chat_models, open_model_address
from graph.settings import GraphSettings

DATA = Path(__file__).parent / "data" / "tool_prompts.json"
SETS = ("tuning", "held_out")
SYSTEM = SystemMessage("You are an assistant that works for the people of one organisation.")
DECISION_TIMEOUT_SECONDS = 300.0
_JUDGE = tool_trajectory(TrajectoryOptions(mode="unordered", ignore_punctuation=True))
"""A model may write New_York; which of two calls comes first is its own affair."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What came of one prompt."""

    category: str
    right: bool
    seconds: float
    """How long the model took to decide."""


async def mark_sample(
    model: ServedModel, tools: Sequence[dict[str, Any]], sample: dict[str, Any], *, tell: bool
) -> Mark:
    """Asks once and compares the calls with those expected."""
    started = time.perf_counter()
    async with asyncio.timeout(DECISION_TIMEOUT_SECONDS):
        # Only the decision is measured, so the answer may end at once.
        answer = await model.bind(tools=list(tools), num_predict=1).ainvoke(
            [SYSTEM, HumanMessage(sample["prompt"])]
        )
    seconds = time.perf_counter() - started
    calls = answer.tool_calls if isinstance(answer, AIMessage) else []
    called = tuple(CalledTool(name=each["name"], arguments=each["args"]) for each in calls)
    expected = Expectation(more={"calls": sample["expect"]})
    said = await ask_judge(_JUDGE, Answer(content="", calls=called), expected)
    right = said is not None and said.value == 1
    if tell and said and not right:
        print(f"  wrong: {sample['prompt']!r}: {said.explanation}")
    return Mark(category=sample["category"], right=right, seconds=seconds)


def report(name: str, marks: Sequence[Mark]) -> float:
    """Prints the score of a set by category; returns the share that was right."""
    by_category: dict[str, list[Mark]] = defaultdict(list)
    for mark in marks:
        by_category[mark.category].append(mark)
    print(f"{name}:")
    for category, members in by_category.items():
        print(f"  {category:<10} {_told(members)}")
    median = statistics.median(mark.seconds for mark in marks)
    print(f"  {'all':<10} {_told(marks)}, median {median:.1f} s a decision")
    return _right(marks) / len(marks)


async def run(sets: Sequence[str], *, tell: bool) -> list[float]:
    """Measures sets on the model that the environment configures; returns their shares."""
    data: dict[str, Any] = json.loads(await asyncio.to_thread(DATA.read_text, "utf-8"))
    settings = GraphSettings().llm
    async with open_model_address(settings) as served, open_chat_models(served) as models:
        print(served.chat_model)
        shares = []
        for name in sets:
            marks = [
                await mark_sample(models.default, data["tools"], sample, tell=tell)
                for sample in data[name]
            ]
            shares.append(report(name, marks))
    return shares


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m evals.tool_choice")
    parser.add_argument("--set", choices=SETS, action="append", dest="sets")
    parser.add_argument("--fail-under", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--failures", action="store_true", help="print what went wrong")
    chosen = parser.parse_args()
    shares = asyncio.run(run(chosen.sets or SETS, tell=chosen.failures))
    sys.exit(1 if min(shares) < chosen.fail_under else 0)


def _told(marks: Sequence[Mark]) -> str:
    """How many were right, and between which shares a model like this one probably is."""
    told = f"{_right(marks):>3} of {len(marks)}"
    found = estimate([[float(mark.right)] for mark in marks], is_share=True)
    if found is None or found.interval is None:
        return told
    low, high = found.interval.low, found.interval.high
    return f"{told} = {found.mean:.0%} ({LEVEL:.0%}: {low:.0%} to {high:.0%})"


def _right(marks: Iterable[Mark]) -> int:
    return sum(mark.right for mark in marks)


if __name__ == "__main__":
    main()
