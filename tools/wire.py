"""Names that both sides of a tool call agree on."""

CALLER_META_KEY = "youworker/caller"
"""Where a call carries the signed caller token, in its `_meta`."""
