"""Documents in: bytes become text, text becomes chunks."""
