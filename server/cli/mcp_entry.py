"""How an MCP server is reached, from what was given on the command line.

Secrets can come from a file or from the standard input: what stands on a command line is seen by
everybody on the machine and stays in the shell's history.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

STANDARD_INPUT = "-"

AddressOption = Annotated[
    str | None, typer.Option("--url", help="The MCP server's address (streamable HTTP).")
]
CommandOption = Annotated[
    str | None,
    typer.Option("--command", help="A command that is the server; its arguments come after --."),
]
HeaderOption = Annotated[
    list[str] | None,
    typer.Option("--header", metavar="NAME=VALUE", help="A header; seen by others on the machine."),
]
HeaderFileOption = Annotated[
    str | None,
    typer.Option(
        "--header-file", metavar="FILE", help="Headers, one 'Name: value' a line; '-' is the input."
    ),
]
EnvOption = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="NAME=VALUE", help="A variable; seen by others on the machine."),
]
EnvFileOption = Annotated[
    str | None,
    typer.Option(
        "--env-file", metavar="FILE", help="Variables, one NAME=VALUE a line; '-' is the input."
    ),
]
FromFileOption = Annotated[
    str | None,
    typer.Option(
        "--from-file", metavar="FILE", help="Take the entry NAME of an mcp.json; '-' is the input."
    ),
]
SessionOption = Annotated[
    Literal["shared", "user"] | None,
    typer.Option("--session", help="Whether each person has a session of their own."),
]
SettingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Another value of the entry, as JSON or as a word: --set trustAnnotations=true.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class EntryOptions:
    """What was given on the command line."""

    url: str | None
    command: str | None
    arguments: list[str] | None = field(repr=False)
    headers: list[str] | None = field(repr=False)
    header_file: str | None
    env: list[str] | None = field(repr=False)
    env_file: str | None
    from_file: str | None
    session: str | None
    settings: list[str] | None = field(repr=False)


def make_entry(name: str, given: EntryOptions) -> dict[str, Any] | None:
    """The entry of the `mcpServers` form; None if nothing of it was given.

    Raises:
        typer.BadParameter: It is no whole entry, or something of it cannot be read.
    """
    if all(value in (None, []) for value in vars(given).values()):
        return None
    _require_one_reader(given)
    entry = _entry_of_file(given.from_file, name) if given.from_file else {}
    entry |= {"url": given.url} if given.url else {}
    entry |= {"command": given.command} if given.command else {}
    entry |= {"args": given.arguments} if given.arguments else {}
    entry |= {"session": given.session} if given.session else {}
    _fill(entry, "headers", _headers(given))
    _fill(entry, "env", _variables(given))
    for setting, value in _pairs(given.settings or (), "--set"):
        entry[setting] = _as_value(value)
    if not {"url", "command"} & {*entry}:
        raise typer.BadParameter(
            "give the whole entry with --url, --command or --from-file: "
            "the secrets of one that is there already are not known here"
        )
    return entry


def _require_one_reader(given: EntryOptions) -> None:
    files = (given.header_file, given.env_file, given.from_file)
    if files.count(STANDARD_INPUT) > 1:
        raise typer.BadParameter("the input can be read for one of the files only")


def _entry_of_file(path: str, name: str) -> dict[str, Any]:
    try:
        servers = json.loads(_read(path))["mcpServers"]
        entry = servers[name]
    except (ValueError, RecursionError) as exc:
        raise typer.BadParameter(f"{path!r} is not JSON") from exc
    except (KeyError, TypeError) as exc:
        raise typer.BadParameter(f"{path!r} has no 'mcpServers' with an entry {name!r}") from exc
    if not isinstance(entry, dict):
        raise typer.BadParameter(f"the entry {name!r} of {path!r} is no object")
    return dict(entry)


def _headers(given: EntryOptions) -> dict[str, str]:
    headers = dict(_pairs(_lines_of(given.header_file), "--header-file", by=":"))
    return headers | dict(_pairs(given.headers or (), "--header"))


def _variables(given: EntryOptions) -> dict[str, str]:
    variables = dict(_pairs(_lines_of(given.env_file), "--env-file"))
    return variables | dict(_pairs(given.env or (), "--env"))


def _fill(entry: dict[str, Any], part: str, values: Mapping[str, str]) -> None:
    if values:
        known = entry.get(part)
        entry[part] = {**(known if isinstance(known, dict) else {}), **values}


def _lines_of(path: str | None) -> Iterator[str]:
    if path is not None:
        for line in _read(path).splitlines():
            if line.strip() and not line.startswith("#"):
                yield line


def _pairs(lines: Iterable[str], option: str, *, by: str = "=") -> Iterator[tuple[str, str]]:
    for line in lines:
        name, sign, value = line.partition(by)
        if not sign or not name.strip():
            # The value may be a secret: it is not repeated.
            raise typer.BadParameter(f"{option} takes NAME{by}VALUE")
        yield name.strip(), value.strip() if by == ":" else value


def _as_value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _read(path: str) -> str:
    try:
        return sys.stdin.read() if path == STANDARD_INPUT else Path(path).read_text("utf-8-sig")
    except OSError as exc:
        raise typer.BadParameter(f"{path!r} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise typer.BadParameter(f"{path!r} is not UTF-8 text") from exc
