"""The token that a browser's page must send along with its cookies."""

import base64
import hashlib
import hmac
import secrets
from uuid import UUID

from server.security.derived_key import derive_key

_NONCE_BYTES = 16
_TOKEN_CHARS = 64
"""The nonce and the 32 bytes of the seal in base64."""


class CsrfTokens:
    """Signed tokens bound to one login: another login's token is as good as none.

    They need no store and stay good as long as the login, however often it is refreshed.
    """

    def __init__(self, secret: str) -> None:
        """Args: secret: signs; the key for it is derived, so the secret may serve others too."""
        self._key = derive_key(secret, "csrf token")

    def issue(self, login_id: UUID) -> str:
        """Makes a token for the pages of a login."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.urlsafe_b64encode(nonce + self._seal(nonce, login_id)).decode()

    def verify(self, token: str, login_id: UUID) -> bool:
        """Whether this object, or one with the same secret, issued the token for that login."""
        if len(token) != _TOKEN_CHARS or not token.isascii():
            return False
        try:
            decoded = base64.b64decode(token, altchars=b"-_", validate=True)
        except ValueError:
            return False
        nonce, seal = decoded[:_NONCE_BYTES], decoded[_NONCE_BYTES:]
        return hmac.compare_digest(seal, self._seal(nonce, login_id))

    def _seal(self, nonce: bytes, login_id: UUID) -> bytes:
        return hmac.digest(self._key, login_id.bytes + nonce, hashlib.sha256)
