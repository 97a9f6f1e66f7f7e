"""Which files of weights exist: where their parts come from and what they must hash to."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Companion:
    """A small file that the package of a slice carries, and that belongs beside the weights."""

    file: str
    path: str
    """Inside the package."""
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class WeightPart:
    """One slice of a file, carried by a package of the package index."""

    package: str
    version: str
    wheel_sha256: str
    path: str
    """Of the slice inside the package."""
    size: int
    sha256: str
    companions: tuple[Companion, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """One file, the concatenation of its parts in this order."""

    name: str
    """Of the model, as in Ollama's library."""
    file: str
    size: int
    sha256: str
    parts: tuple[WeightPart, ...]

    @property
    def companions(self) -> tuple[Companion, ...]:
        """The small files of all its parts."""
        return tuple(companion for part in self.parts for companion in part.companions)


@cache
def load_weight_files() -> dict[str, WeightFile]:
    """The known files by the name of their model."""
    listed = json.loads(files(__package__).joinpath("weights.json").read_text(encoding="utf-8"))
    return {
        entry["name"]: WeightFile(**entry | {"parts": tuple(map(_read_part, entry["parts"]))})
        for entry in listed["weights"]
    }


def _read_part(entry: dict[str, Any]) -> WeightPart:
    companions = tuple(Companion(**each) for each in entry.get("companions", ()))
    return WeightPart(**entry | {"companions": companions})
