"""Placeholders in what suites say about MCP servers, so that a suite can bring servers of its own.

`{python}` is the interpreter that runs the eval, `{suite}` the folder of the suite's file.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SUITE = "{suite}"


def fill_placeholders(value: Any, folder: Path) -> Any:
    """The same value, with every text in it filled in."""
    if isinstance(value, str):
        return value.replace("{python}", sys.executable).replace(_SUITE, str(folder.resolve()))
    if isinstance(value, list):
        return [fill_placeholders(each, folder) for each in value]
    if isinstance(value, dict):
        return {name: fill_placeholders(each, folder) for name, each in value.items()}
    return value


def paths_beside(value: Any, folder: Path) -> Iterator[Path]:
    """What texts in a value name by `{suite}`, and is there."""
    if isinstance(value, str) and _SUITE in value:
        # An option may stand before it, as in `--data={suite}/rates.json`.
        path = Path(fill_placeholders(value[value.index(_SUITE) :], folder))
        if path.exists():
            yield path
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from paths_beside(each, folder)
