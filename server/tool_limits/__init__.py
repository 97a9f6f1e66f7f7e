"""Rules on what tool calls may take."""
