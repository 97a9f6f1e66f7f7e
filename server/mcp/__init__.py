"""MCP servers that root adds and looks after, and the tools of all servers."""
