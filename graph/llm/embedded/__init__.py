"""A small chat model and an embedding model on loopback, behind Ollama's protocol.

`supervisor` is what the product uses. Only the child process (`__main__`) loads the engines.
"""
