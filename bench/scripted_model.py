"""A scripted Ollama server that costs next to nothing, so that what is measured is its reader.

The last `[[TOKENS@PACE]]` in a request says what comes back: so many tokens at so many a second, or
as fast as the streams take turns when the pace is 0. `[[TOKENS@PACE TOOL]]` asks for one call of
that tool first, and has the tokens for its result. Each token leaves in a write of its own, as
Ollama flushes them, and its five characters carry the time it left at (see `bench.stamp`).
"""

import argparse
import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import uvloop

from bench.stamp import stamp

SCRIPT = re.compile(rb"\[\[(\d+)@(\d+)(?: (\w+))?\]\]")
TOOL_RESULT = re.compile(rb'"role": *"tool"')
TOOL_ARGUMENTS = {"timezone": "Europe/Rome"}
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
STREAM_OFF = re.compile(rb'"stream": *false')
MODEL = re.compile(rb'"model": *"([^"]+)"')
CREATED_AT = "2025-01-01T00:00:00.000000Z"
CHAT_MODEL = "scripted:latest"
EMBED_MODEL = "all-minilm:latest"
EMBED_DIMENSION = 384
NDJSON_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Script:
    """What one request is answered with."""

    tokens: int
    pace: int
    tool: str
    """Which one is to be called instead; none when empty."""


class ModelConnection(asyncio.Protocol):
    """One keep-alive connection: requests in, scripted answers out."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._lines: Iterator[bytes] = iter(())
        self._interval = 0.0
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = CONTENT_LENGTH.search(self._received, 0, end + 2)
            total = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < total:
                return
            path = self._received.split(b" ", 2)[1].split(b"?")[0].decode()
            body = self._received[end + 4 : total]
            self._received = self._received[total:]
            self._answer(path, body)

    def _answer(self, path: str, body: bytes) -> None:
        if path != "/api/chat":
            self._send_json(answer_for(path, body))
            return
        script = script_in(body)
        if STREAM_OFF.search(body):
            text = "".join(stamp() for _ in range(script.tokens))
            record = json.loads(message_line(model_in(body), text)) | done_record(script.tokens)
            self._send_json(record)
            return
        model = model_in(body)
        self._lines = (
            call_lines(model, script.tool) if script.tool else chat_lines(model, script.tokens)
        )
        self._interval = 1 / script.pace if script.pace else 0.0
        self._due = self._loop.time()
        self._transport.write(NDJSON_HEAD)
        self._send_next()

    def _send_next(self) -> None:
        if self._transport.is_closing():
            return
        line = next(self._lines, None)
        if line is None:
            self._transport.write(LAST_CHUNK)
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(line), line))
        if self._interval:
            self._due += self._interval
            self._loop.call_at(self._due, self._send_next)
        else:
            self._loop.call_soon(self._send_next)

    def _send_json(self, value: object) -> None:
        body = json.dumps(value).encode()
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        status = b"404 Not Found" if isinstance(value, dict) and "error" in value else b"200 OK"
        self._transport.write(head % (status, len(body)) + body)


def script_in(body: bytes) -> Script:
    """The last script of a request, without its tool when that has answered."""
    found = None
    for found in SCRIPT.finditer(body):  # noqa: B007 - the last is wanted
        pass
    if found is None:
        return Script(tokens=1, pace=0, tool="")
    tool = (found[3] or b"").decode()
    if TOOL_RESULT.search(body, found.end()):
        tool = ""
    return Script(tokens=int(found[1]), pace=int(found[2]), tool=tool)


def chat_lines(model: str, tokens: int) -> Iterator[bytes]:
    """The NDJSON of one streamed answer, each token stamped when it is asked for."""
    before, after = message_line(model, "\0").split(json.dumps("\0")[1:-1], 1)
    head, tail = before.encode(), after.encode() + b"\n"
    for _ in range(tokens):
        yield head + stamp().encode() + tail
    yield done_line(model, tokens)


def call_lines(model: str, tool: str) -> Iterator[bytes]:
    """The NDJSON of an answer that is nothing but a call."""
    record = json.loads(message_line(model, ""))
    function = {"name": tool, "arguments": TOOL_ARGUMENTS}
    record["message"]["tool_calls"] = [{"function": function}]
    yield json.dumps(record).encode() + b"\n"
    yield done_line(model, 1)


def done_line(model: str, tokens: int) -> bytes:
    record = json.loads(message_line(model, "")) | done_record(tokens)
    return json.dumps(record).encode() + b"\n"


def message_line(model: str, content: str) -> str:
    message = {"role": "assistant", "content": content}
    record = {"model": model, "created_at": CREATED_AT, "message": message, "done": False}
    return json.dumps(record, separators=(",", ":"))


def done_record(tokens: int) -> dict[str, object]:
    return {
        "done": True,
        "done_reason": "stop",
        "total_duration": 1_000_000 * (tokens + 1),
        "load_duration": 1_000,
        "prompt_eval_count": 26,
        "prompt_eval_duration": 1_000_000,
        "eval_count": tokens,
        "eval_duration": 1_000_000 * tokens,
    }


def model_in(body: bytes) -> str:
    found = MODEL.search(body)
    return found[1].decode() if found else CHAT_MODEL


def answer_for(path: str, body: bytes) -> dict[str, object]:
    """What the routes besides chat say."""
    if path == "/":
        return {"status": "Ollama is running"}
    if path == "/api/version":
        return {"version": "0.12.0"}
    if path == "/api/tags":
        return {"models": [tag(CHAT_MODEL), tag(EMBED_MODEL)]}
    if path == "/api/show":
        details = tag(model_in(body))["details"]
        return {"details": details, "model_info": {}, "capabilities": ["completion", "tools"]}
    if path == "/api/embed":
        texts = json.loads(body)["input"]
        count = 1 if isinstance(texts, str) else len(texts)
        vector = [1.0] + [0.0] * (EMBED_DIMENSION - 1)
        return {
            "model": model_in(body),
            "embeddings": [vector] * count,
            "total_duration": 1_000,
            "load_duration": 1_000,
            "prompt_eval_count": count,
        }
    return {"error": f"no such route: {path}"}


def tag(name: str) -> dict[str, object]:
    details = {
        "parent_model": "",
        "format": "gguf",
        "family": "scripted",
        "families": ["scripted"],
        "parameter_size": "0",
        "quantization_level": "F16",
    }
    return {
        "name": name,
        "model": name,
        "modified_at": CREATED_AT,
        "size": 0,
        "digest": "0" * 64,
        "details": details,
    }


async def serve(port: int) -> None:
    """Serves until the process is stopped."""
    server = await asyncio.get_running_loop().create_server(ModelConnection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
