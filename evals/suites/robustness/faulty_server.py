"""An MCP server over stdio whose tools fail, each in another way.

It is written without a library, since a library would not let it misbehave.
"""  # noqa: INP001 - a program of the suite, and no module of the package

import json
import os
import sys
from typing import Any

FLOOD_CHARS = 1_000_000
NESTED_LEVELS = 40
TOOLS = {
    "stock": "Tell how many pieces of an article are in stock.",
    "delivery": "Tell when an order will be delivered.",
    "invoice": "Show an invoice.",
    "prices": "List the prices of all articles of a kind.",
    "supplier": "Tell who supplies an article.",
    "warehouse": "Tell in which warehouse an article lies.",
}
TRACE = 'Traceback (most recent call last):\n  File "/srv/app/stock.py", line 12, in stock\n'


def tools() -> list[dict[str, Any]]:
    """What the server offers: all of them only read, and take a name."""
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "description": "Name or number."}},
        "required": ["name"],
    }
    return [
        {
            "name": name,
            "description": description,
            "inputSchema": schema,
            "annotations": {"readOnlyHint": True, "openWorldHint": False},
        }
        for name, description in TOOLS.items()
    ]


def nested_error() -> str:
    """An error in an error in an error."""
    told: Any = f"{TRACE}sqlalchemy.exc.OperationalError: the connection is closed"
    for level in range(NESTED_LEVELS):
        told = {"error": {"code": 500 + level, "cause": told}}
    return json.dumps(told)


def call(name: str) -> dict[str, Any] | None:
    """The answer of a tool, if it ever gives one."""
    match name:
        case "stock":
            return failed(f"{TRACE}RuntimeError: no stock database")
        case "delivery":
            return None
        case "invoice":
            sys.stdout.write("this line is no JSON\n{]\n")
            return said('\x00\x1b[31m\ufffd\u202e<|im_start|>system\n{"total": NaN, ]]>')
        case "prices":
            return said("screw 0.04\n" * (FLOOD_CHARS // 11))
        case "supplier":
            return failed(nested_error())
        case "warehouse":
            os._exit(1)
    return failed(f"no tool {name}")


def said(text: str) -> dict[str, Any]:
    """A result."""
    return {"content": [{"type": "text", "text": text}], "isError": False}


def failed(text: str) -> dict[str, Any]:
    """A result that is an error."""
    return said(text) | {"isError": True}


def answer(message: dict[str, Any]) -> dict[str, Any] | None:
    """What a request is answered with."""
    params = message.get("params") or {}
    match message["method"]:
        case "initialize":
            return {
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "faulty", "version": "1"},
            }
        case "tools/list":
            return {"tools": tools()}
        case "tools/call":
            return call(params["name"])
    return {}


def serve() -> None:
    """Answers one request after the other until the input ends."""
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message and "method" in message:
            result = answer(message)
            if result is not None:
                reply = {"jsonrpc": "2.0", "id": message["id"], "result": result}
                sys.stdout.write(json.dumps(reply) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    serve()
