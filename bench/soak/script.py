"""What a question makes the model do: the same for everybody who knows the question."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LEDGER = "ledger"
"""The server whose tools may not be called twice."""
WRITE = f"{LEDGER}.write"
"""Called without asking anybody."""
SIGN = f"{LEDGER}.sign"
"""Called when the user has allowed it."""

MOST_TOOL_TURNS = 3
SILENT_SHARE = 0.25
LONGEST_SILENCE_SECONDS = 1.5
PACES = (20, 60, 60, 150, 400)
TOOLS = ("datetime.now",) * 6 + ("units.convert",) * 3 + (WRITE,) * 7 + (SIGN,) * 4
ZONES = ("Tokyo", "Europe/Rome", "UTC", "Asia/Kolkata", "America/Lima")
UNITS = (("km", "mile"), ("kg", "pound"), ("celsius", "fahrenheit"))


@dataclass(frozen=True, kw_only=True)
class ScriptedCall:
    """One tool call that the model asks for."""

    tool: str
    args: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ModelTurn:
    """One answer of the model."""

    thoughts: int
    words: int
    pace: int
    """Words a second."""
    silent_at: int
    """Before which word the model falls silent."""
    silent_seconds: float
    calls: tuple[ScriptedCall, ...] = ()


def script_for(question: str) -> list[ModelTurn]:
    """The turns of the model for a question; the last one calls no tool."""
    # Strings seed it the same in every process, unlike their hash.
    chance = random.Random(question)
    tool_turns = chance.choice((0, *range(MOST_TOOL_TURNS + 1)))
    return [
        _turn(chance, f"{question}/{place}", with_tools=place < tool_turns)
        for place in range(tool_turns + 1)
    ]


def _turn(chance: random.Random, name: str, *, with_tools: bool) -> ModelTurn:
    words = chance.choice((0, 3, 8)) if with_tools else chance.randint(5, 80)
    calls = chance.choice((1, 1, 2, 3)) if with_tools else 0
    return ModelTurn(
        thoughts=chance.choice((0, 0, 6)),
        words=words,
        pace=chance.choice(PACES),
        silent_at=chance.randint(0, words),
        silent_seconds=(
            chance.uniform(0.1, LONGEST_SILENCE_SECONDS) if chance.random() < SILENT_SHARE else 0.0
        ),
        calls=tuple(_call(chance, f"{name}/{number}") for number in range(calls)),
    )


def _call(chance: random.Random, name: str) -> ScriptedCall:
    tool = chance.choice(TOOLS)
    args: dict[str, Any] = {"note": name}
    if tool == "datetime.now":
        args = {"timezone": chance.choice(ZONES)}
    elif tool == "units.convert":
        source, target = chance.choice(UNITS)
        args = {"value": chance.randint(1, 99), "from_unit": source, "to_unit": target}
    return ScriptedCall(tool=tool, args=args)
