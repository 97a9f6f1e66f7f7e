"""Prompts of MCP servers, for people to choose and to see before they send them."""
