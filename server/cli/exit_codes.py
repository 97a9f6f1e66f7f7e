"""How commands end."""

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
"""As shells tell of a program that Ctrl-C ended."""
