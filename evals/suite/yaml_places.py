"""YAML that knows on which line each of its parts stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from evals.errors import SuiteInvalid

Place = tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True)
class PlacedYaml:
    """What a file says, and where."""

    content: Any
    lines: Mapping[Place, int]

    def line_of(self, place: Sequence[int | str]) -> int:
        """The line of a part, or of the nearest part around it that there is."""
        for length in range(len(place), -1, -1):
            if (line := self.lines.get(tuple(place[:length]))) is not None:
                return line
        return 1


def read_yaml(path: Path) -> PlacedYaml:
    """Reads one document.

    Raises:
        SuiteInvalid: It cannot be read, or is no YAML.
    """
    try:
        text = path.read_text("utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
        lines: dict[Place, int] = {}
        if node is not None:
            _note(node, (), lines)
    except (OSError, UnicodeDecodeError) as exc:
        raise SuiteInvalid(f"{path}: cannot be read ({exc}).") from exc
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise SuiteInvalid(
            f"{path}, line {line}: {exc.problem}; mend the YAML, texts with ':' or '#' in quotes."
        ) from exc
    except RecursionError as exc:
        raise SuiteInvalid(f"{path}: is nested too deeply, or holds itself.") from exc
    except (yaml.YAMLError, ValueError) as exc:
        told = " ".join(str(exc).split())
        raise SuiteInvalid(f"{path}: is no YAML that can be read ({told}).") from exc
    return PlacedYaml(content=content, lines=lines)


def _note(node: yaml.Node, place: Place, lines: dict[Place, int]) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, key.value)
            lines[inner] = key.start_mark.line + 1
            _note(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            _note(value, (*place, number), lines)
