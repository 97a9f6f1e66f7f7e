"""An MCP server whose tools leave a line in a file at each call, so that a second one can be seen.

Runs over stdio on the standard library alone: it is started anew with each replica. Its one
argument is the file. It says nothing about its tools, so nobody may take them to be repeatable.
"""

import json
import os
import random
import sys
import threading
import time
from typing import Any

TOOLS = ("write", "sign")
LONGEST_PAUSE_SECONDS = 0.7
_METHOD_NOT_FOUND = -32601
_SCHEMA = {"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]}


class Ledger:
    """Answers requests, each tool call in a thread of its own."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._speaking = threading.Lock()

    def serve(self) -> None:
        """Reads requests until the input ends."""
        for line in sys.stdin:
            request = json.loads(line)
            if "id" not in request or "method" not in request:
                continue
            if request["method"] == "tools/call":
                threading.Thread(target=self._call, args=(request,), daemon=True).start()
            else:
                self._say(request["id"], _plain_answer(request))

    def _call(self, request: dict[str, Any]) -> None:
        note = request["params"]["arguments"]["note"]
        # A kill may come before the line, after it, or after the answer.
        time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
        os.write(self._file, (json.dumps([request["params"]["name"], note]) + "\n").encode())
        time.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
        content = [{"type": "text", "text": f"noted {note}"}]
        self._say(request["id"], {"result": {"content": content, "isError": False}})

    def _say(self, number: object, answer: dict[str, Any]) -> None:
        line = json.dumps({"jsonrpc": "2.0", "id": number, **answer})
        with self._speaking:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def _plain_answer(request: dict[str, Any]) -> dict[str, Any]:
    match request["method"]:
        case "initialize":
            return {
                "result": {
                    "protocolVersion": request["params"]["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "ledger", "version": "1"},
                }
            }
        case "tools/list":
            tools = [
                {"name": name, "description": f"{name} a note", "inputSchema": _SCHEMA}
                for name in TOOLS
            ]
            return {"result": {"tools": tools}}
        case "ping":
            return {"result": {}}
    return {"error": {"code": _METHOD_NOT_FOUND, "message": "no such method"}}


if __name__ == "__main__":
    Ledger(sys.argv[1]).serve()
