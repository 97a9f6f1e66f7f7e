"""Keys for one purpose each, out of the one secret of the installation."""

import hashlib
import hmac


def derive_key(secret: str, purpose: str) -> bytes:
    """A key of 256 bits; what is signed with one purpose's key is worth nothing for another.

    Raises:
        ValueError: The secret is empty.
    """
    if not secret:
        raise ValueError(f"The secret behind {purpose!r} is empty.")
    return hmac.digest(secret.encode(), f"youworker {purpose} v1".encode(), hashlib.sha256)
