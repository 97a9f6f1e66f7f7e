"""API keys: made, shown, hashed."""

import hashlib
import secrets

KEY_PREFIX = "yw_"
SHOWN_CHARS = 10
"""How much of a key is kept readable, so that its owner can tell it from others."""


def make_api_key() -> str:
    """A new key; 256 bits of chance, so that a plain hash of it is safe to store."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_api_key(key: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()
