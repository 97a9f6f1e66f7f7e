"""People let the product act for them at MCP servers, and take that back."""
