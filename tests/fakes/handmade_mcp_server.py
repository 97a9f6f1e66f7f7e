"""An MCP server over HTTP made by hand, in the test's own loop, which answers as it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

JSON, EVENTS = "application/json", "text/event-stream"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer; `$id` in its body stands for the number of the request."""

    status: int = 200
    type: str = JSON
    body: str = ""
    hangs: bool = False
    """Whether nothing is answered at all."""


def result(value: dict[str, Any]) -> Reply:
    return Reply(body=json.dumps({"jsonrpc": "2.0", "id": "$id", "result": value}))


def text(words: str) -> Reply:
    return result({"content": [{"type": "text", "text": words}], "isError": False})


@dataclass
class HandmadeServer:
    """Says hello, has no tools, and answers every call with `done`, unless told otherwise."""

    url: str = ""
    replies: dict[str, Reply] = field(default_factory=dict)
    """By the name of a tool, or by a method."""
    once: dict[str, Reply] = field(default_factory=dict)
    """The same for the first time only."""
    seen: list[str] = field(default_factory=list)
    """What was asked, in its order."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Something more was."""
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    """Something is not being answered."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Whoever waited for an answer that did not come has gone."""

    async def until_asked(self, name: str) -> None:
        """Wait until this was asked."""
        while name not in self.seen:
            self.asked.clear()
            await self.asked.wait()

    def reply_to(self, verb: str, message: dict[str, Any]) -> Reply:
        method = message.get("method", "answer")
        name = verb if verb != "POST" else message.get("params", {}).get("name", method)
        self.seen.append(name)
        self.asked.set()
        known = self.once.pop(name, None) or self.replies.get(name)
        if known is not None:
            return known
        match name:
            case "GET":
                return Reply(status=405)
            case "initialize":
                version = message["params"]["protocolVersion"]
                about = {"name": "handmade", "version": "1"}
                return result({"protocolVersion": version, "capabilities": {}, "serverInfo": about})
            case "tools/list":
                return result({"tools": []})
            case "ping":
                return result({})
        if verb == "DELETE" or "id" not in message or method == "answer":
            return Reply(status=202)
        return text("done")

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        message = json.loads(body) if body else {}
        reply = self.reply_to(head.split(" ", 1)[0], message)
        if reply.hangs:
            self.hanging.set()
            await reader.read()
            self.left.set()
        else:
            content = reply.body.replace('"$id"', str(message.get("id"))).encode()
            writer.write(
                f"HTTP/1.1 {reply.status} X\r\nContent-Type: {reply.type}\r\nConnection: close\r\n"
                f"Mcp-Session-Id: s{self.seen.count('initialize')}\r\n"
                f"Content-Length: {len(content)}\r\n\r\n".encode()
                + content
            )
        writer.close()


@asynccontextmanager
async def open_handmade_server() -> AsyncIterator[HandmadeServer]:
    handmade = HandmadeServer()
    server = await asyncio.start_server(handmade.answer, "127.0.0.1", 0)
    async with server:
        handmade.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        yield handmade
