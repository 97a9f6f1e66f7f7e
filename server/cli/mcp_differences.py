"""What a server has made of a tool, beside what was approved: for a person to judge."""

import difflib
import json
import textwrap
import unicodedata
from collections.abc import Iterator
from typing import Any

import typer

from server.cli.mcp_view import visible

LINE_CHARS = 96
NEW_CHARACTERS_SHOWN = 8
_COLOURS = {"+": "green", "-": "red"}
_NOT_PARTS = {"fingerprint", "changed"}


def print_held(tool: Any) -> None:
    """Shows a tool that waits; removed lines begin with '-', new ones with '+'."""
    held = tool["held"]
    typer.secho(f"{visible(tool['name'])}: {', '.join(held['changed'])}", bold=True)
    for line in _differences(tool, held):
        typer.secho(f"  {line}", fg=_COLOURS.get(line[0]))
    for note in _new_characters(tool, held):
        typer.secho(f"  ! {note}", fg="yellow")


def _differences(approved: Any, held: Any) -> Iterator[str]:
    for part in held:
        if part not in _NOT_PARTS and approved.get(part) != held[part]:
            yield f"@ {part}"
            before, after = _lines_of(approved.get(part)), _lines_of(held[part])
            for line in difflib.unified_diff(before, after, lineterm="", n=3):
                if not line.startswith(("---", "+++", "@@")):
                    yield line


def _lines_of(value: Any) -> list[str]:
    """A value as lines that are short enough to be compared by eye."""
    if value is None or value == {}:
        return []
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    return [
        piece
        for line in value.split("\n")
        for piece in textwrap.wrap(
            visible(line), LINE_CHARS, drop_whitespace=False, break_on_hyphens=False
        )
        or [""]
    ]


def _new_characters(approved: Any, held: Any) -> Iterator[str]:
    """Letters that look like others: they stand in the new text, and did not in the old one."""
    known = set(_all_text(approved, held))
    new = sorted({char for char in _all_text(held, held) if not char.isascii()} - known)
    for char in new[:NEW_CHARACTERS_SHOWN]:
        yield f"new character {visible(char)} ({unicodedata.name(char, 'without a name')})"
    if len(new) > NEW_CHARACTERS_SHOWN:
        yield f"and {len(new) - NEW_CHARACTERS_SHOWN} more new characters beyond ASCII"


def _all_text(definition: Any, parts: Any) -> str:
    values = [definition.get(part) for part in parts if part not in _NOT_PARTS]
    return json.dumps(values, ensure_ascii=False)
