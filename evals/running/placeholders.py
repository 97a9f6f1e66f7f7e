"""Placeholders in what suites say about MCP servers, so that a suite can bring servers of its own.

`{python}` is the interpreter that runs the eval, `{suite}` the folder of the suite's file.
"""

import sys
from pathlib import Path
from typing import Any


def fill_placeholders(value: Any, folder: Path) -> Any:
    """The same value, with every text in it filled in."""
    if isinstance(value, str):
        return value.replace("{python}", sys.executable).replace("{suite}", str(folder.resolve()))
    if isinstance(value, list):
        return [fill_placeholders(each, folder) for each in value]
    if isinstance(value, dict):
        return {name: fill_placeholders(each, folder) for name, each in value.items()}
    return value
