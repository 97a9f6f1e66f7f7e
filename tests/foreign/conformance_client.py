"""The product's client as the protocol's conformance suite drives it: the server's URL comes last.

Lists the tools and calls each once; what the suite's servers see of that, it judges.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tools.catalog import open_catalog
from tools.client import McpTool
from tools.settings import McpSettings

NAME = "suite"
WAIT_SECONDS = 10.0
ARGUMENTS = {"integer": 2, "number": 2, "string": "two", "boolean": True}


async def main() -> None:
    """Connects, lists, calls."""
    with tempfile.TemporaryDirectory() as folder:
        servers_file = Path(folder) / "mcp.json"
        entry = {NAME: {"url": sys.argv[-1]}}
        servers_file.write_text(json.dumps({"mcpServers": entry}), "utf-8")
        settings = McpSettings(servers_file=servers_file, start_wait_seconds=WAIT_SECONDS)
        async with open_catalog(settings) as catalog:
            tools = [tool for tool in catalog.tools() if tool.server == NAME]
            for tool in tools:
                await _call(tool)


async def _call(tool: McpTool) -> None:
    properties = tool.tool_call_schema.get("properties", {})
    arguments = {name: ARGUMENTS.get(each.get("type"), "two") for name, each in properties.items()}
    request = {"type": "tool_call", "id": "1", "name": tool.name, "args": arguments}
    await tool.ainvoke(request)


if __name__ == "__main__":
    asyncio.run(main())
