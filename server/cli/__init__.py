"""The command line: youworker."""

from server.cli.main import main

__all__ = ["main"]
