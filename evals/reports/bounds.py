"""How much of a text a report shows: a report of a thousand samples has to open."""

from html import escape

LONGEST_CHARS = 10_000
"""Of one message, answer, call or result; all of it stands in the record and in Inspect's log."""


def shown(text: str) -> str:
    """A text for a page, cut with a note that says so where it is long."""
    if len(text) <= LONGEST_CHARS:
        return escape(text)
    left_out = f"… {len(text) - LONGEST_CHARS:,} more characters, in results.json"
    return f"{escape(text[:LONGEST_CHARS])}<i>{left_out}</i>"
