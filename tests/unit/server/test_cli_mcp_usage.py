"""How `youworker mcp` explains itself, and what it does with wrong usage."""

import io

import pytest
from typer.testing import CliRunner

from server.cli.connection import ApiFailure
from server.cli.main import app
from server.cli.mcp_view import confirm


@pytest.mark.parametrize(
    "arguments",
    [
        ("servers", "add", "x"),
        ("servers", "add", "x", "--header", "a=b"),
        ("servers", "change", "x"),
        ("servers", "change", "x", "--everybody", "--nobody"),
        ("servers", "change", "x", "--header", "a=b"),
        ("prompts", "get", "nothing"),
        ("prompts", "get", "a.b", "nothing"),
        ("tools", "policy", "a.b", "perhaps"),
        ("limits", "add", "a.*"),
        ("limits", "change", "1"),
    ],
)
def test_wrong_usage_is_exit_code_two_and_asks_nobody(arguments: tuple[str, ...]):
    environment = {"YOUWORKER_URL": "http://127.0.0.1:1", "YOUWORKER_API_KEY": "x"}
    ended = CliRunner().invoke(app, ["mcp", *arguments], env=environment)
    assert ended.exit_code == 2, ended.output


def test_a_person_at_the_terminal_is_asked(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    confirm("Approve this?", yes=False)
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    with pytest.raises(ApiFailure, match="nothing was changed"):
        confirm("Approve this?", yes=False)


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["servers"],
        ["servers", "add"],
        ["tools"],
        ["tools", "approve"],
        ["prompts"],
        ["limits"],
        ["login"],
    ],
)
def test_every_command_explains_itself(command: list[str]):
    ended = CliRunner().invoke(app, ["mcp", *command, "--help"])
    assert ended.exit_code == 0
    assert "Usage:" in ended.stdout
