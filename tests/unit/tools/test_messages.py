"""Messages as bytes."""

import json
from typing import Any

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
    ("said", "kind"),
    [
        ({"id": 1, "method": "ping"}, types.JSONRPCRequest),
        ({"id": "a", "method": "m", "params": {"a": [1]}, "more": 1}, types.JSONRPCRequest),
        ({"id": None, "method": "m"}, types.JSONRPCNotification),
        ({"method": "m", "params": {"a": [1]}}, types.JSONRPCNotification),
        ({"id": 1, "result": {}, "error": None}, types.JSONRPCResponse),
        ({"id": "1", "result": {"a": 1}, "method": None}, types.JSONRPCResponse),
        ({"id": 1, "result": None, "error": {"code": 1, "message": "x"}}, types.JSONRPCError),
    ],
)
def test_what_a_message_is_can_be_told_by_its_keys(
    said: dict[str, Any], kind: type[object]
) -> None:
    message = read_message(json.dumps({"jsonrpc": "2.0", **said}).encode())

    assert message is not None
    assert type(message.root) is kind
    written = message.model_dump(by_alias=True, exclude_none=True)
    assert written == {"jsonrpc": "2.0"} | {k: v for k, v in said.items() if v is not None}


@pytest.mark.parametrize(
    "said",
    [
        {"id": 1, "method": "m", "params": []},
        {"id": 1.5, "method": "m"},
        {"id": 1},
        {"method": 1},
        {"id": [1], "result": {}},
        {"id": 1, "error": "x"},
        {"id": 1, "result": {}, "jsonrpc": "1.0"},
    ],
)
def test_what_only_looks_like_a_message_is_none(said: dict[str, Any]) -> None:
    assert read_message(json.dumps({"jsonrpc": "2.0", **said}).encode()) is None


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
