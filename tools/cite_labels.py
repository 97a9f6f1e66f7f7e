"""Labels by which a model cites a passage and a reader finds it again, such as `k7f2m`.

A label is made of the passage's citation key alone: it is the same in every call, session and
replay, and nothing has to remember it; who has not read a passage cannot work its label out.
Letters and digits take turns, so that no word looks like one, and what is easily misread is left
out (i, l, o; 0, 1).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable

LABEL_CHARS = 5
"""About 800,000 labels: among 100 passages two are the same in one conversation of 150."""
LABEL_SHAPE = r"(?:[a-z][0-9]){2,}[a-z]"
"""What looks like a label, also like one that a model has misspelt."""
_LETTERS = "abcdefghjkmnpqrstuvwxyz"
_DIGITS = "23456789"
_LONGEST = 25


def cite_label(citation_key: str, length: int = LABEL_CHARS) -> str:
    """The label of a passage; a longer one begins with the shorter ones."""
    number = int.from_bytes(hashlib.sha256(citation_key.encode()).digest())
    chars = []
    for place in range(length):
        alphabet = _DIGITS if place % 2 else _LETTERS
        number, char = divmod(number, len(alphabet))
        chars.append(alphabet[char])
    return "".join(chars)


def label_passages(citation_keys: Iterable[str]) -> dict[str, str]:
    """Labels of passages that are shown together, each longer where two would be the same."""
    labels = {key: cite_label(key) for key in citation_keys}
    for length in range(LABEL_CHARS + 2, _LONGEST + 1, 2):
        shown = Counter(labels.values())
        alike = [key for key, label in labels.items() if shown[label] > 1]
        if not alike:
            break
        labels |= {key: cite_label(key, length) for key in alike}
    return labels
