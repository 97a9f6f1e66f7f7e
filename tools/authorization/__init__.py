"""OAuth 2.1 as the Model Context Protocol has it: people let the product act for them at a server.

This is the protocol; what people granted is kept by whoever implements `ServerAuthorizations`. The
models of the messages are the SDK's. Its `OAuthClientProvider` is not used: it waits for the
browser inside a request, for one person.
"""
