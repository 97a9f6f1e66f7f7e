"""How an MCP server is reached, from what stands on the command line."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import typer

from server.cli.mcp_entry import EntryOptions, make_entry

SECRET = "s3cret-walnut"
ADDRESS = "https://tools.example.org/mcp"


def entry(name: str = "intranet", **given: Any) -> dict[str, Any] | None:
    nothing = dict.fromkeys(EntryOptions.__dataclass_fields__)
    return make_entry(name, EntryOptions(**{**nothing, **given}))


def test_nothing_given_is_nothing():
    assert entry() is None
    assert entry(headers=[], arguments=[]) is None


def test_an_address_with_headers_from_a_file_and_from_the_line(tmp_path: Path):
    file = tmp_path / "headers"
    file.write_text(f"# of the intranet\n\nAuthorization: Bearer {SECRET}\nX-Team:  a=b: c \n")
    assert entry(url=ADDRESS, header_file=str(file), headers=["X-Key=a=b"], session="user") == {
        "url": ADDRESS,
        "headers": {"Authorization": f"Bearer {SECRET}", "X-Team": "a=b: c", "X-Key": "a=b"},
        "session": "user",
    }


def test_a_command_with_its_arguments_and_variables(tmp_path: Path):
    file = tmp_path / "env"
    file.write_text(f"TOKEN={SECRET}\nSPACED= x \n")
    assert entry(
        command="npx", arguments=["-y", "some-server"], env=["A=b=c"], env_file=str(file)
    ) == {
        "command": "npx",
        "args": ["-y", "some-server"],
        "env": {"TOKEN": SECRET, "SPACED": " x ", "A": "b=c"},
    }


def test_an_entry_of_a_file_and_what_is_added_to_it(tmp_path: Path):
    file = tmp_path / "mcp.json"
    known = {"url": ADDRESS, "headers": {"X-A": "1", "X-B": "2"}, "trustAnnotations": False}
    file.write_text(json.dumps({"mcpServers": {"intranet": known, "other": {}}}))
    settings = ["trustAnnotations=true", "sampling=ask", 'identity={"audience": "x"}']
    assert entry(from_file=str(file), headers=["X-B=3"], settings=settings) == {
        "url": ADDRESS,
        "headers": {"X-A": "1", "X-B": "3"},
        "trustAnnotations": True,
        "sampling": "ask",
        "identity": {"audience": "x"},
    }
    assert known["headers"] == {"X-A": "1", "X-B": "2"}


def test_secrets_come_through_the_input(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"Authorization: Bearer {SECRET}\n"))
    made = entry(url=ADDRESS, header_file="-")
    assert made == {"url": ADDRESS, "headers": {"Authorization": f"Bearer {SECRET}"}}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"headers": ["X-A=1"]}, "give the whole entry"),
        ({"url": ADDRESS, "headers": [SECRET]}, "--header takes NAME=VALUE"),
        ({"url": ADDRESS, "env": [f"={SECRET}"]}, "--env takes NAME=VALUE"),
        ({"url": ADDRESS, "header_file": "-", "env_file": "-"}, "one of the files only"),
        ({"url": ADDRESS, "header_file": "/nowhere/headers"}, "cannot be read"),
        ({"from_file": "/nowhere/mcp.json"}, "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_without_the_secret(given: dict[str, Any], fault: str):
    with pytest.raises(typer.BadParameter, match=fault) as told:
        entry(**given)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "has no 'mcpServers'"),
        ('{"mcpServers": {}}', "an entry 'intranet'"),
        ('{"mcpServers": {"intranet": 1}}', "is no object"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_a_file_that_holds_no_such_entry_is_told_of(tmp_path: Path, text: str | bytes, fault: str):
    file = tmp_path / "mcp.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(typer.BadParameter, match=fault):
        entry(from_file=str(file))
