"""The built-in MCP servers, one a file; any transport can carry them."""
