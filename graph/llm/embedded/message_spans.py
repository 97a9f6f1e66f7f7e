"""The pieces of a message that can be the value of an argument: "New York", "km", "Friday"."""

import re

MOST_WORDS = 40
"""In longer messages there are too many pieces to choose from."""
SPAN_MAX_WORDS = 4

# A unit may stick to its number, and a slash or an apostrophe belongs to a word.
_WORD = re.compile(r"\d+(?:[.,:]\d+)*|°\w?|[^\W\d][\w'’/°%²³.@+-]*")


def find_spans(message: str) -> list[str]:
    """Runs of one to four words as they stand in the message; numbers alone are left out."""
    words = list(_WORD.finditer(message))
    if not 0 < len(words) <= MOST_WORDS:
        return []
    spans = []
    for first in range(len(words)):
        for last in range(first, min(first + SPAN_MAX_WORDS, len(words))):
            start, end = words[first].start(), words[last].end()
            span = message[start:end].rstrip(".-'’")
            if "\n" not in span and any(c.isalpha() or c == "°" for c in span):
                spans.append(span)
    return list(dict.fromkeys(spans))
