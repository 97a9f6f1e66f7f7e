"""Splits a message that asks for several things: "convert 5 km to miles and tell me the time"."""

import re

LEAST_WORDS = 2

_JOINT = re.compile(
    r"(?:[,;]\s*(?:and|und|e|et|y)\s+(?:then\s+|also\s+)?"
    r"|\s+(?:and|und|et)\s+(?:then\s+|also\s+)?"
    r"|[;\n]+\s*|(?<=[.?!])\s+(?:and\s+|then\s+|also\s+)?|,\s*(?:then|also)\s+)",
    re.IGNORECASE,
)


def split_request(message: str) -> list[str]:
    """The message's parts in order; a message that asks for one thing is its only part."""
    parts = [part.strip(" ,;") for part in _JOINT.split(message)]
    kept = [part for part in parts if len(part.split()) >= LEAST_WORDS]
    return kept if len(kept) > 1 else [message.strip()]
