"""Chooses the tool that a request is about by its nearness to examples.

A model of half a billion parameters is poor at saying "none of these tools". Sentence vectors are
better at it and take milliseconds: a request is compared with the tools' descriptions and with
example requests (`intents.json`), among them many that need no tool.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise

import numpy as np

from graph.llm.embedded.embedder import MiniLm, Vectors
from graph.llm.embedded.tool_schema import Tool

NEAREST = 2
"""How many of the nearest examples are averaged: one alone is too easily met by chance."""
SAME_PURPOSE = 0.55
"""From this nearness on a tool's description counts as one of the known purposes."""
LEAST_SCORE = 0.2
"""Below this a request resembles nothing, and no tool is used."""
CUE_BONUS = 0.15
"""What a word that gives the request away adds."""
KEPT_TOOLS = 256


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a request seems to need."""

    tool: Tool | None
    """None when it needs no tool."""
    score: float
    """Nearness of the request to the tool, or to requests without a tool: at most 1."""
    lead: float
    """How much nearer it is to the tool than to anything else; negative without a tool."""


@dataclass(frozen=True, kw_only=True)
class _Profile:
    """A tool in the space of sentences."""

    description: Vectors
    examples: Vectors | None
    cues: re.Pattern[str] | None


class ToolChooser:
    """Knows the examples. Blocking: call it from a thread."""

    def __init__(self, model: MiniLm) -> None:
        self._model = model
        known = json.loads(files(__package__).joinpath("intents.json").read_text(encoding="utf-8"))
        kinds = known["kinds"]
        self._purposes = model.embed([kind["purpose"] for kind in kinds]).vectors
        listed = [kind["examples"] for kind in kinds] + [known["none"]]
        flat = model.embed([text for examples in listed for text in examples]).vectors
        ends = np.cumsum([0] + [len(examples) for examples in listed])
        parts = [flat[start:end] for start, end in pairwise(ends)]
        self._examples, self._none = parts[:-1], parts[-1]
        self._cues = [
            re.compile(kind["cues"], re.IGNORECASE) if "cues" in kind else None for kind in kinds
        ]
        self._profiles: OrderedDict[str, _Profile] = OrderedDict()

    def choose(self, request: str, tools: Sequence[Tool]) -> Choice:
        """Find the tool that the request needs, if it needs one."""
        (vector,) = self._model.embed([request]).vectors
        none = _nearness(self._none, vector)
        scores = [self._score(tool, request, vector) for tool in tools]
        best = int(np.argmax(scores)) if scores else -1
        if best < 0 or scores[best] < max(none, LEAST_SCORE):
            return Choice(tool=None, score=none, lead=-none)
        rivals = [none, *scores[:best], *scores[best + 1 :]]
        return Choice(tool=tools[best], score=scores[best], lead=scores[best] - max(rivals))

    def _score(self, tool: Tool, request: str, vector: Vectors) -> float:
        profile = self._profile(tool)
        score = float(profile.description @ vector)
        if profile.examples is not None:
            score = max(score, _nearness(profile.examples, vector))
        if profile.cues is not None and profile.cues.search(request):
            score += CUE_BONUS
        return score

    def _profile(self, tool: Tool) -> _Profile:
        profile = self._profiles.get(tool.meaning)
        if profile is None:
            (described,) = self._model.embed([tool.description or tool.meaning]).vectors
            nearness = self._purposes @ described
            kind = int(np.argmax(nearness))
            known = nearness[kind] >= SAME_PURPOSE
            profile = self._profiles[tool.meaning] = _Profile(
                description=described,
                examples=self._examples[kind] if known else None,
                cues=self._cues[kind] if known else None,
            )
            if len(self._profiles) > KEPT_TOOLS:
                self._profiles.popitem(last=False)
        return profile


def _nearness(examples: Vectors, vector: Vectors) -> float:
    nearness = np.sort(examples @ vector)
    return float(nearness[-NEAREST:].mean())
