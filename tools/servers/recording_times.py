"""Places in recordings, as people read them."""


def format_clock(seconds: float) -> str:
    """A place in a recording."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
