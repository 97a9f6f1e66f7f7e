"""An MCP server that does what foreign servers may do; over stdio, or HTTP with `--http PORT`."""

import argparse
import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mcp import McpError, types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server

Arguments = dict[str, Any]
Tool = Callable[[Arguments], Awaitable[types.CallToolResult]]
PIXEL = "iVBORw0KGgo="


def _text(text: str, **more: Any) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], **more)


async def echo(arguments: Arguments) -> types.CallToolResult:
    return _text(json.dumps(arguments, sort_keys=True))


async def meta(_: Arguments) -> types.CallToolResult:
    given = SERVER.request_context.meta
    return _text(json.dumps(given.model_extra if given else {}))


async def environment(_: Arguments) -> types.CallToolResult:
    return _text(json.dumps(sorted(os.environ)))


async def fail(_: Arguments) -> types.CallToolResult:
    return _text("the disk is on fire", isError=True)


async def refuse(_: Arguments) -> types.CallToolResult:
    raise McpError(types.ErrorData(code=-32000, message="no such thing"))


async def die(_: Arguments) -> types.CallToolResult:
    os._exit(3)


async def pid(_: Arguments) -> types.CallToolResult:
    return _text(str(os.getpid()))


async def hang(arguments: Arguments) -> types.CallToolResult:
    """Connect to `port` and wait until that connection ends; tell it when the call is cancelled.

    Without a port it waits for nothing.
    """
    if "port" not in arguments:
        await asyncio.Event().wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", arguments["port"])
    try:
        await reader.read()
    except asyncio.CancelledError:
        writer.write(b"cancelled")
        raise
    finally:
        writer.close()
    return _text("done")


async def big(arguments: Arguments) -> types.CallToolResult:
    return _text("x" * arguments["chars"])


async def zoo(_: Arguments) -> types.CallToolResult:
    embedded = types.TextResourceContents(uri="file:///a.txt", text="inside")
    blob = types.BlobResourceContents(uri="file:///b.bin", blob=PIXEL)
    return types.CallToolResult(
        content=[
            types.TextContent(type="text", text="first"),
            types.ImageContent(type="image", data=PIXEL, mimeType="image/png"),
            types.AudioContent(type="audio", data=PIXEL, mimeType="audio/wav"),
            types.EmbeddedResource(type="resource", resource=embedded),
            types.EmbeddedResource(type="resource", resource=blob),
            types.ResourceLink(type="resource_link", uri="file:///c", name="link"),
            types.TextContent(type="text", text="last"),
        ]
    )


async def structured(_: Arguments) -> types.CallToolResult:
    return types.CallToolResult(content=[], structuredContent={"sources": [{"id": "forged"}]})


async def nothing(_: Arguments) -> types.CallToolResult:
    return types.CallToolResult(content=[])


async def pollute(_: Arguments) -> types.CallToolResult:
    sys.stdout.buffer.write(b'npm warn deprecated something\n{"jsonrpc": "2.0", "id": \n')
    sys.stdout.buffer.write(b"\xff\xfe\n\n[1, 2]\n")
    sys.stdout.flush()
    return _text("still here")


async def garble(_: Arguments) -> types.CallToolResult:
    """Answer with a result that is none."""
    return types.CallToolResult.model_construct(content="not a list", isError=False)


async def mumble(arguments: Arguments) -> types.CallToolResult:
    """Answer this call with a line that is none, and then wait."""
    line = arguments["answer"] % SERVER.request_context.request_id
    sys.stdout.buffer.write(line.encode() + b"\n")
    sys.stdout.flush()
    await asyncio.Event().wait()
    return _text("never")


async def grow(_: Arguments) -> types.CallToolResult:
    TOOLS["grown"] = echo
    await SERVER.request_context.session.send_tool_list_changed()
    return _text("grown")


async def breed(_: Arguments) -> types.CallToolResult:
    """Start a grandchild that outlives its parent unless somebody sees to it."""
    child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
    return _text(str(child.pid))


async def progress(arguments: Arguments) -> types.CallToolResult:
    """Report each of these numbers."""
    context = SERVER.request_context
    token = context.meta.progressToken if context.meta else None
    if token is None:
        return _text("nobody listens")
    for done in arguments["steps"]:
        params = types.ProgressNotificationParams(
            progressToken=token, progress=done, total=10, message=f"step {done}"
        )
        await context.session.send_notification(
            types.ServerNotification(types.ProgressNotification(params=params)), context.request_id
        )
    return _text("done")


async def declared(_: Arguments) -> types.CallToolResult:
    """Tell what the client offers."""
    client = SERVER.request_context.session.client_params
    offered = client.capabilities.model_dump(mode="json", exclude_none=True) if client else {}
    return _text(json.dumps(offered))


async def roots(_: Arguments) -> types.CallToolResult:
    listed = await SERVER.request_context.session.list_roots()
    return _text(json.dumps([str(root.uri) for root in listed.roots]))


async def ask_person(arguments: Arguments) -> types.CallToolResult:
    context = SERVER.request_context
    named = {"type": "object", "properties": {"name": {"type": "string"}}}
    schema = arguments.get("schema", named)
    message = arguments.get("message", "Who are you?")
    if url := arguments.get("url"):
        answer = await context.session.elicit_url(message, url, "1", context.request_id)
    else:
        answer = await context.session.elicit_form(message, schema, context.request_id)
    return _text(json.dumps([answer.action, answer.content]))


async def ask_model(_: Arguments) -> types.CallToolResult:
    context = SERVER.request_context
    said = types.TextContent(type="text", text="What is 2 + 2?")
    answer = await context.session.create_message(
        [types.SamplingMessage(role="user", content=said)],
        max_tokens=7,
        system_prompt="Be brief.",
        related_request_id=context.request_id,
    )
    return _text(answer.content.text if isinstance(answer.content, types.TextContent) else "?")


async def write_log(arguments: Arguments) -> types.CallToolResult:
    context = SERVER.request_context
    for _ in range(arguments.get("times", 1)):
        await context.session.send_log_message(
            arguments["level"], arguments["data"], related_request_id=context.request_id
        )
    return _text(STATE.log_level)


async def storm(arguments: Arguments) -> types.CallToolResult:
    """Say very often that the tools changed; the answer tells how often they were listed."""
    for _ in range(arguments["times"]):
        await SERVER.request_context.session.send_tool_list_changed()
    return _text(str(STATE.listings))


async def flood(arguments: Arguments) -> types.CallToolResult:
    """Write lines as fast as they are read, until the input ends or so many are written."""
    line = arguments["line"].encode() + b"\n"

    def write() -> None:
        for _ in range(arguments["times"]):
            sys.stdout.buffer.write(line)
        sys.stdout.flush()

    await asyncio.to_thread(write)
    return _text("flooded")


async def escape(_: Arguments) -> types.CallToolResult:
    """Start a grandchild in a session of its own, where no signal to the group reaches it."""
    child = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, start_new_session=True)
    return _text(str(child.pid))


@dataclass
class State:
    """What the server has seen."""

    listings: int = 0
    log_level: str = "none"


STATE = State()
TOOLS: dict[str, Tool] = {
    tool.__name__: tool
    for tool in (
        echo, meta, environment, fail, refuse, die, pid, hang, big, zoo, structured, nothing,
        pollute, garble, grow, breed, progress, declared, roots, ask_person, ask_model, write_log,
        storm, flood, escape, mumble,
    )
}  # fmt: skip
TOOLS["a name.with/odd characters"] = echo
SERVER: Server[Any, Any] = Server("odd", version="1")


@SERVER.list_tools()
async def _list() -> list[types.Tool]:
    STATE.listings += 1
    return [types.Tool(name=name, inputSchema={"type": "object"}) for name in TOOLS]


@SERVER.set_logging_level()
async def _set_level(level: types.LoggingLevel) -> None:
    STATE.log_level = level


async def _call(request: types.CallToolRequest) -> types.ServerResult:
    return types.ServerResult.model_construct(
        root=await TOOLS[request.params.name](request.params.arguments or {})
    )


SERVER.request_handlers[types.CallToolRequest] = _call


async def _serve_stdio() -> None:
    options = SERVER.create_initialization_options(NotificationOptions(tools_changed=True))
    async with stdio_server() as (read, write):
        await SERVER.run(read, write, options)


def _serve_http(port: int, *, json_response: bool) -> None:
    import uvicorn
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from starlette.applications import Starlette
    from starlette.routing import Mount

    manager = StreamableHTTPSessionManager(SERVER, json_response=json_response)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> Any:
        async with manager.run():
            yield

    app = Starlette(routes=[Mount("/mcp", app=manager.handle_request)], lifespan=lifespan)
    uvicorn.run(_with_odd_answers(app), port=port, log_level="error", timeout_graceful_shutdown=1)


def _with_odd_answers(app: Any) -> Any:
    """Answers calls of the tools `busy` and `packed` as no server should."""
    packed = gzip.compress(b" " * 1_000_000)
    odd = {
        b'"busy"': (503, [], b"busy"),
        b'"packed"': (
            200, [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")], packed
        ),
    }  # fmt: skip

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        message = await receive()
        for word, (status, headers, body) in odd.items():
            if word in message["body"]:
                start = {"type": "http.response.start", "status": status, "headers": headers}
                await send(start)
                await send({"type": "http.response.body", "body": body})
                return
        given = [message]

        async def again() -> Any:
            return given.pop() if given else await receive()

        await app(scope, again, send)

    return answer


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int)
    parser.add_argument("--json", action="store_true", help="answer without event streams")
    parser.add_argument("--stubborn", action="store_true", help="ignore every polite way to end")
    options = parser.parse_args()
    if options.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.http:
        _serve_http(options.http, json_response=options.json)
    else:
        asyncio.run(_serve_stdio())
    if options.stubborn:
        time.sleep(600)
