"""JSON, and lines of it.

Lists of flat records become tables. All else becomes lines of `path: value`, so that each value
keeps its name wherever a long document is cut. Numbers stay as they are written.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import orjson

from loaders.document import Element, ElementKind
from loaders.errors import UnreadableDocument
from loaders.formats.tables import table_element

_DEEPEST = 64
_TOO_DEEP = "the JSON is nested too deeply"
_LONGEST_CELL_CHARS = 200
_FILLED_SHARE_OF_TABLE = 0.5
_LINES_TO_BE_SURE = 2
_LINES_TRIED = 5
_HEADING_LEVEL = 2
"""Below the outermost: the name of a list is not the title of the document."""


class _Record(list[tuple[str, Any]]):
    """An object with its members in order; names that stand twice are both kept."""


def load(text: str) -> list[Element]:
    """The elements of a JSON document.

    Raises:
        UnreadableDocument: it is no JSON, or nested too deeply.
    """
    value = _parse(text, "the file")
    if not isinstance(value, list):
        return [Element(kind=ElementKind.TEXT, text=_scalar(value))]
    if not isinstance(value, _Record):
        return list(_list_elements("", value))
    lists: list[tuple[str, Any]] = []
    elements = list(_elements("", value, _DEEPEST, lists))
    for path, values in lists:
        elements.append(Element(kind=ElementKind.HEADING, text=path, level=_HEADING_LEVEL))
        elements += _list_elements(path, values)
    return elements


def load_lines(text: str) -> list[Element]:
    """The elements of a file in which every line is a JSON document.

    Raises:
        UnreadableDocument: a line is none.
    """
    values = [
        _parse(line, f"line {number}")
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]
    return list(_list_elements("", values))


def is_json(text: str) -> bool:
    """Whether a text of which nobody says so is JSON all the same: an object or a list."""
    stripped = text.strip()
    return (stripped[:1], stripped[-1:]) in {("{", "}"), ("[", "]")} and _is_valid(stripped)


def is_json_lines(text: str) -> bool:
    """Whether the first lines are an object each."""
    lines = list(islice((line for line in text.split("\n", _LINES_TRIED) if line.strip()), 3))
    return len(lines) >= _LINES_TO_BE_SURE and all(
        line[:1] == "{" and _is_valid(line) for line in lines[:_LINES_TO_BE_SURE]
    )


def _is_valid(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _parse(text: str, place: str) -> Any:
    try:
        # Numbers are taken as text: one of a million digits costs nothing, and none is rounded.
        return json.loads(
            text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_Record
        )
    except json.JSONDecodeError as exc:
        raise UnreadableDocument(
            f"{place} is not valid JSON: {exc.msg} at line {exc.lineno}, column {exc.colno}"
        ) from exc
    except RecursionError as exc:
        raise UnreadableDocument(_TOO_DEEP) from exc


def _elements(path: str, value: Any, depth: int, lists: list[tuple[str, Any]]) -> Iterator[Element]:
    """A value as lines, each member that has members of its own apart.

    Lists of records are put off: their headings would stand over what follows them.
    """
    if not depth:
        raise UnreadableDocument(_TOO_DEEP)
    lines: list[str] = []
    for name, member in _members(path, value):
        if _is_scalar(member):
            lines.append(f"{name}: {_scalar(member)}")
            continue
        if lines:
            yield Element(kind=ElementKind.TEXT, text="\n".join(lines))
            lines = []
        if _is_list_of_records(member):
            lists.append((name, member))
        else:
            yield from _elements(name, member, depth - 1, lists)
    if lines:
        yield Element(kind=ElementKind.TEXT, text="\n".join(lines))


def _list_elements(path: str, values: Sequence[Any]) -> Iterator[Element]:
    """A list: one table if its records allow it, else one element for each of its values."""
    table = _table(values)
    if table is not None:
        yield table
        return
    for index, value in enumerate(values):
        lines = list(_lines(f"{path}[{index}]" if path else "", value, _DEEPEST))
        if lines:
            yield Element(kind=ElementKind.TEXT, text="\n".join(lines))


def _lines(path: str, value: Any, depth: int) -> Iterator[str]:
    if not depth:
        raise UnreadableDocument(_TOO_DEEP)
    if _is_scalar(value):
        yield f"{path}: {_scalar(value)}" if path else _scalar(value)
        return
    for name, member in _members(path, value):
        yield from _lines(name, member, depth - 1)


def _table(values: Sequence[Any]) -> Element | None:
    records = [value for value in values if isinstance(value, _Record)]
    if len(records) < len(values) or not all(map(_is_row, records)):
        return None
    columns = list(dict.fromkeys(name for record in records for name, _ in record))
    if sum(map(len, records)) < _FILLED_SHARE_OF_TABLE * len(columns) * len(records):
        return None
    rows = ([_scalar(cells.get(name, "")) for name in columns] for cells in map(dict, records))
    return table_element([columns, *rows]) if columns else None


def _is_row(record: _Record) -> bool:
    return len({name for name, _ in record}) == len(record) and all(
        _is_scalar(value) and len(_scalar(value)) <= _LONGEST_CELL_CHARS for _, value in record
    )


def _is_list_of_records(value: Any) -> bool:
    return (
        isinstance(value, list)
        and not isinstance(value, _Record)
        and len(value) > 1
        and all(isinstance(each, _Record) for each in value)
    )


def _members(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, _Record):
        for name, member in value:
            yield (f"{path}.{name}" if path else name), member
    else:
        for index, member in enumerate(value):
            yield f"{path}[{index}]", member


def _is_scalar(value: Any) -> bool:
    """A value of one line; a list of such is one, too."""
    if isinstance(value, _Record):
        return not value
    if isinstance(value, list):
        return not any(isinstance(each, list) for each in value)
    return True


def _scalar(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_scalar, value))
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
