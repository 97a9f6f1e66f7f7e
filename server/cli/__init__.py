"""The `youworker` command."""

import sys

_LEFT_OUT = ("rich", "watchfiles")
"""What libraries take along where they find it, for what a server never does: 4 MiB of it."""


def main() -> None:
    """Runs the command line."""
    if sys.argv[1:2] == ["serve"] and "--help" not in sys.argv:
        for name in _LEFT_OUT:
            # It counts as not installed then (Python's reference, "The import system").
            sys.modules[name] = None  # type: ignore[assignment]
    from server.cli.main import main as run

    run()
