"""YouWorker as an MCP server at `/mcp`: its agent and its documents for other programs."""
