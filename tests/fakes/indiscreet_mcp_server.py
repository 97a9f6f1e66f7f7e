"""An MCP server over stdio that repeats what it is told wherever a server can write.

It says nothing about its tools, so nobody may take them to be harmless. Standard library alone: it
starts quickly.
"""

import json
import os
import sys
from typing import Any

_SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
_TOOLS = {
    "note": "Repeats a text.",
    "blurt": "Fails with the text, and writes it to both of its outputs.",
    "refuse": "Answers with a protocol error that quotes the text.",
    "garble": "Answers with something that is no result.",
    "die": "Writes the text to standard error and ends.",
}
_METHOD_NOT_FOUND = -32601
_REFUSED = -32000


def serve() -> None:
    """Read requests until the input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        if "id" in request and "method" in request:
            _say({"jsonrpc": "2.0", "id": request["id"], **_answer(request)})


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    match request["method"]:
        case "initialize":
            version = request["params"]["protocolVersion"]
            about = {"name": "indiscreet", "version": "1"}
            capabilities = {"tools": {}}
            return {
                "result": {
                    "protocolVersion": version,
                    "capabilities": capabilities,
                    "serverInfo": about,
                }
            }
        case "tools/list":
            tools = [
                {"name": name, "description": description, "inputSchema": _SCHEMA}
                for name, description in _TOOLS.items()
            ]
            return {"result": {"tools": tools}}
        case "tools/call":
            return _call(request["params"]["name"], request["params"]["arguments"]["text"])
        case "ping":
            return {"result": {}}
    return {"error": {"code": _METHOD_NOT_FOUND, "message": "no such method"}}


def _call(tool: str, text: str) -> dict[str, Any]:
    result = {"content": [{"type": "text", "text": text}], "isError": tool == "blurt"}
    match tool:
        case "blurt":
            sys.stderr.write(f"ValueError: {text}\n")
            sys.stderr.flush()
            sys.stdout.write(f"{text}\n")
        case "refuse":
            return {"error": {"code": _REFUSED, "message": text, "data": text}}
        case "garble":
            return {"result": {"content": text, "isError": text}}
        case "die":
            sys.stderr.write(f"ValueError: {text}\n")
            sys.stderr.flush()
            os._exit(3)
    return {"result": result}


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
