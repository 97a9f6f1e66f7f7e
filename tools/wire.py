"""Names that both sides of a tool call agree on."""

CALLER_META_KEY = "youworker/caller"
"""Where a call carries the signed caller token, in its `_meta`."""
IDENTITY_META_KEY = "youworker/identity"
"""Where a call carries the token that proves who is asking, for servers whose entry wants it."""
IDENTITY_HEADER = "X-YouWorker-Identity"
"""Where the request that carries such a call has the same, over HTTP."""
