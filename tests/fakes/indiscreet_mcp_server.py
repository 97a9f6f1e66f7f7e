"""An MCP server over stdio that repeats what it is told wherever a server can write.

It says nothing about its tools, so nobody may take them to be harmless. Standard library alone: it
starts quickly.
"""

import json
import os
import sys
from itertools import count
from typing import Any

_SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
_TOOLS = {
    "note": "Repeats a text.",
    "blurt": "Fails with the text, and writes it to both of its outputs.",
    "refuse": "Answers with a protocol error that quotes the text.",
    "garble": "Answers with something that is no result.",
    "die": "Writes the text to standard error and ends.",
    "ask": "Asks the person with a form in which the text stands everywhere.",
    "send": "Sends the person to an address with the text in it.",
    "consult": "Asks the model what the text says.",
}
_NUMBERS = count(1)
_METHOD_NOT_FOUND = -32601
_REFUSED = -32000


def serve() -> None:
    """Read requests until the input ends."""
    for line in sys.stdin:
        _serve(json.loads(line))


def _serve(request: dict[str, Any]) -> None:
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
        case "ask" | "send" | "consult":
            told = json.dumps(_ask(tool, text), ensure_ascii=False)
            result["content"] = [{"type": "text", "text": told}]
    return {"result": result}


def _ask(tool: str, text: str) -> dict[str, Any]:
    """Ask back, and return the answer; whatever else comes meanwhile is served."""
    number = f"{tool} {next(_NUMBERS)}"
    _say({"jsonrpc": "2.0", "id": number, **_question(tool, text)})
    for line in sys.stdin:
        said: dict[str, Any] = json.loads(line)
        if said.get("id") == number and "method" not in said:
            return said
        _serve(said)
    sys.exit()


def _question(tool: str, text: str) -> dict[str, Any]:
    asked: dict[str, Any]
    if tool == "consult":
        asked = {"role": "user", "content": {"type": "text", "text": f"{text}, for the model"}}
        told = {"messages": [asked], "systemPrompt": text, "maxTokens": 99}
        return {"method": "sampling/createMessage", "params": told}
    asked = {"message": text}
    if tool == "send":
        words = text.encode("ascii", "ignore").decode().replace(" ", "-")
        address = f"https://example.org/{words}?about={words}"
        asked |= {"mode": "url", "url": address, "elicitationId": words}
    else:
        field = {"type": "string", "title": text, "description": text, "default": text}
        form = {"type": "object", "properties": {text: field}, "required": [text]}
        asked |= {"mode": "form", "requestedSchema": form}
    return {"method": "elicitation/create", "params": asked}


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
