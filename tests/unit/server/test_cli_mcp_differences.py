"""What a changed tool looks like to the person who has to judge it."""

from typing import Any

import pytest

from server.cli.mcp_differences import print_held
from server.cli.mcp_view import visible, visible_lines

APPROVED: dict[str, Any] = {
    "name": "mail.send",
    "title": None,
    "description": "Sends a letter.\nTo one person.",
    "input_schema": {"type": "object", "properties": {"to": {"type": "string"}}},
    "annotations": {"readOnlyHint": True},
}


def shown(capsys: pytest.CaptureFixture[str], **held: Any) -> list[str]:
    parts = {name: value for name, value in APPROVED.items() if name != "name"} | held
    print_held({**APPROVED, "held": {"fingerprint": "f", "changed": [*held], **parts}})
    return capsys.readouterr().out.splitlines()


def test_only_what_has_changed_is_shown_line_by_line(capsys: pytest.CaptureFixture[str]):
    schema = {"type": "object", "properties": {"to": {"type": "string"}, "bcc": {}}}
    assert shown(capsys, description="Sends a letter.\nTo everybody.", input_schema=schema) == [
        "mail.send: description, input_schema",
        "  @ description",
        "   Sends a letter.",
        "  -To one person.",
        "  +To everybody.",
        "  @ input_schema",
        "   {",
        '     "properties": {',
        '  +    "bcc": {},',
        '       "to": {',
        '         "type": "string"',
        "       }",
    ]


def test_what_does_not_show_is_written_as_its_code(capsys: pytest.CaptureFixture[str]):
    told = shown(capsys, description="Sends a letter.\x1b[2J\u202e\U000e0041\r\nTo one person.")
    assert "  +Sends a letter.\\x1b[2J\\u202e\\U000e0041\\r" in told


def test_a_letter_that_looks_like_another_one_is_named(capsys: pytest.CaptureFixture[str]):
    told = shown(capsys, description="Sends а letter.\nTo one person.")
    assert told[-1] == "  ! new character а (CYRILLIC SMALL LETTER A)"
    assert shown(capsys, description="".join(map(chr, range(0x400, 0x40A))))[-1] == (
        "  ! and 2 more new characters beyond ASCII"
    )


def test_long_lines_are_broken_so_that_a_change_is_found_in_them(
    capsys: pytest.CaptureFixture[str],
):
    words = " ".join(["word"] * 60)
    before, after = f"{words} good {words}", f"{words} evil {words}"
    print_held(
        {
            **APPROVED,
            "description": before,
            "held": {"fingerprint": "f", "changed": ["description"], "description": after},
        }
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line[2] for line in lines].count("+") == [line[2] for line in lines].count("-") == 1
    assert max(map(len, lines)) < 104


def test_a_tool_that_was_never_approved_is_new_as_a_whole(capsys: pytest.CaptureFixture[str]):
    nothing = {"title": None, "description": None, "input_schema": {}, "annotations": None}
    held = {**APPROVED, "fingerprint": "f", "changed": ["description", "inputSchema"]}
    del held["name"]
    print_held({**APPROVED, **nothing, "held": held})
    told = capsys.readouterr().out.splitlines()
    assert "  +Sends a letter." in told
    assert not [line for line in told if line.startswith("  -")]


def test_words_of_strangers_move_nothing_in_the_terminal():
    assert visible("a\tb\x1b]0;x\x07\u200b ü 東\u00a0\n") == (
        "a\\tb\\x1b]0;x\\x07\\u200b ü 東\\xa0\\n"
    )
    assert visible_lines("a\tb\nc\r\x1b") == "a\tb\nc\\r\\x1b"
