"""MCP: servers that offer tools, and the client that brings them to the agent."""
