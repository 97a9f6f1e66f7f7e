"""Messages as bytes."""

import json

import pytest
from mcp import types
from mcp.shared.message import SessionMessage

from tools.errors import CallRejected
from tools.transports.messages import find_answered, is_answer, read_message, write_message


def test_half_a_character_is_replaced() -> None:
    message = read_message(rb'{"jsonrpc": "2.0", "id": 1, "result": {"a": "x\ud83d", "b": [1.5]}}')

    assert message is not None
    assert isinstance(message.root, types.JSONRPCResponse)
    assert message.root.result == {"a": "x?", "b": [1.5]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"npm warn",
        b"[]",
        b'{"jsonrpc": "2.0", "id": 1, "result": {"a": "\\ud83d"',
        b'{"jsonrpc": "2.0", "id": 1, "result": "\\ud83d"}',
        b"[" * 100_000 + rb"\ud83d",
        b"\xff\xfe",
    ],
    ids=["nothing", "words", "a list", "the half of one", "no result", "too deep", "no text"],
)
def test_what_is_no_message_is_none(data: bytes) -> None:
    assert read_message(data) is None


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (b'{"jsonrpc": "2.0", "id": 7, "result": "text"}', 7),
        (b'{"jsonrpc": "2.0", "id": "7", "result": {"a": ', 7),
        (b'{"result": "text", "jsonrpc": "2.0", "id": 7}', 7),
        (b'{"jsonrpc": "2.0", "id": 7, "method": 1}', None),
        (b'{"jsonrpc": "2.0", "id": null, "error": {}}', None),
        (b'{"id": 7, "level": "info", "message": "listening"}', None),
        (b"npm warn", None),
    ],
)
def test_whose_answer_something_was_is_seen_where_it_says_so(
    data: bytes, number: int | None
) -> None:
    assert find_answered(data) == number


def test_an_answer_to_nobody_is_still_one() -> None:
    assert is_answer(b'{"jsonrpc": "2.0", "id": null, "error": {}}')
    assert not is_answer(b'{"jsonrpc": "2.0", "method": "x"')


def test_what_is_written_is_what_was_meant_and_nothing_that_json_cannot_carry() -> None:
    def message(value: object) -> SessionMessage:
        params = {"arguments": {"text": value}}
        request = types.JSONRPCRequest(jsonrpc="2.0", id=1, method="m", params=params)
        return SessionMessage(types.JSONRPCMessage(request))

    written = json.loads(write_message(message("è \x00 🙂")))
    assert written["params"] == {"arguments": {"text": "è \x00 🙂"}}
    assert json.loads(write_message(message(None)))["params"] == {"arguments": {"text": None}}
    with pytest.raises(CallRejected):
        write_message(message("\ud800"))
