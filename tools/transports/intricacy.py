"""How much work it is to read a message, judged before it is read.

Reading holds up everybody, and a value of two bytes takes as long as a text of a thousand.
"""

from tools.budget import ByteBudget
from tools.errors import AnswerTooIntricate

PARTS_MAX = 100_000
"""How many values a message may be made of."""
PART_BYTES = 64
"""How much text takes as long as one value."""


async def admit(data: bytes, budget: ByteBudget) -> None:
    """Account for the parts of a message, as for bytes that had come besides.

    Raises:
        AnswerTooIntricate: It has too many.
    """
    parts = count_parts(data)
    if parts > PARTS_MAX:
        raise AnswerTooIntricate(PARTS_MAX)
    await budget.spend(parts * PART_BYTES)


def count_parts(data: bytes) -> int:
    """Say of how many values a message is made at most; texts are one each where it matters."""
    parts = _count(data)
    if parts <= PARTS_MAX:
        return parts
    # Much of it may stand in texts. Without what is escaped, each quotation mark is an end of one.
    plain = data.replace(rb"\\", b"").replace(rb"\"", b"")
    pieces = plain.split(b'"', 2 * PARTS_MAX + 1)
    if len(pieces) > 2 * PARTS_MAX + 1:
        return PARTS_MAX + 1
    return _count(b"".join(pieces[::2]))


def _count(data: bytes) -> int:
    return data.count(b"[") + data.count(b"{") + data.count(b",")
