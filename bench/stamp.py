"""Tokens that carry the time they were sent at, in five characters: four of base 36 and a space.

The clock is the machine's monotonic one, which its processes share, in tenths of a millisecond; it
comes round after 168 seconds.
"""

import re
import time

TICKS_PER_SECOND = 10_000
ROUND = 36**4
TOKEN = re.compile(r"[0-9a-z]{4}")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]


def stamp() -> str:
    """A token that is sent now."""
    tick = int(time.monotonic() * TICKS_PER_SECOND) % ROUND
    return f"{_PAIRS[tick // 1296]}{_PAIRS[tick % 1296]} "


def lags_ms(text: str, received_at: float) -> list[float]:
    """How long each token in `text` had been under way when it was received, in milliseconds."""
    now = received_at * TICKS_PER_SECOND % ROUND
    per_tick_ms = 1000 / TICKS_PER_SECOND
    return [(now - int(token, 36)) % ROUND * per_tick_ms for token in TOKEN.findall(text)]
