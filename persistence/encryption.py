"""The key ring: Fernet over everything that people typed, and the keyed hash that finds it again.

Every plaintext is prefixed with the *context* it belongs to, such as `messages.body/17`, and the
prefix is checked on the way back. A token that was moved to another column, another session or
another owner is refused like one that was tampered with.
"""

import copy
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from persistence.errors import DecryptionError, EncryptionKeyError

_HASH_KEY_PURPOSE = b"youworker keyed hash v1"
_SEAL_KEY_PURPOSE = b"youworker audit seal v1"
_TEXT_ERRORS = "surrogatepass"  # half an emoji from a careless client must survive, not crash


@dataclass(frozen=True, kw_only=True)
class LastingKeys:
    """Keys that outlive the configured ones, because what they made cannot be made anew."""

    hashing: bytes = field(repr=False)
    sealing: bytes = field(repr=False)

    @classmethod
    def derive(cls, key: str) -> Self:
        """Return those that hang on a configured key, until they are kept on their own."""
        return cls(hashing=_derive(key, _HASH_KEY_PURPOSE), sealing=_derive(key, _SEAL_KEY_PURPOSE))


class KeyRing:
    """One or more Fernet keys: the first one writes, all of them read.

    Rotation: put a new key in front, `rotate` the stored tokens, then drop the old key. The keyed
    hash and the seal have keys of their own, which the database keeps encrypted
    (`persistence.lasting_keys`); until they were taken from there, they hang on the *last* key.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise EncryptionKeyError(
                "no encryption key is configured; make one with KeyRing.generate_key()"
            )
        try:
            fernets = [Fernet(key.encode("ascii")) for key in keys]
        except ValueError as exc:
            raise EncryptionKeyError(
                "an encryption key is not 32 url-safe base64 bytes; "
                "make one with KeyRing.generate_key()"
            ) from exc
        self._first = fernets[0]
        self._fernet = MultiFernet(fernets)
        self.lasting = LastingKeys.derive(keys[-1])

    def __repr__(self) -> str:
        return "KeyRing(***)"

    @staticmethod
    def generate_key() -> str:
        """Make a new random key."""
        return Fernet.generate_key().decode("ascii")

    @classmethod
    def parse(cls, secret: str) -> "KeyRing":
        """Make a key ring of comma-separated keys.

        Raises:
            EncryptionKeyError: There is no key in it, or one is malformed.
        """
        return cls([key for part in secret.split(",") if (key := part.strip())])

    def encrypt(self, data: bytes, *, context: str = "") -> bytes:
        """Protect `data` for one place."""
        return self._fernet.encrypt(context.encode() + b"\0" + data)

    def decrypt(self, token: bytes, *, context: str = "") -> bytes:
        """Open a token that was made for `context`.

        Raises:
            DecryptionError: It is no token of these keys, or it was made for another context.
        """
        try:
            data = self._fernet.decrypt(token)
        except (InvalidToken, TypeError, ValueError) as exc:
            raise DecryptionError(f"a stored value of {context!r} cannot be decrypted") from exc
        prefix = context.encode() + b"\0"
        if not data.startswith(prefix):
            raise DecryptionError(f"a stored value of {context!r} belongs to another place")
        return data[len(prefix) :]

    def encrypt_text(self, text: str, *, context: str = "") -> str:
        """Protect a text as a text."""
        return self.encrypt(text.encode("utf-8", _TEXT_ERRORS), context=context).decode("ascii")

    def decrypt_text(self, token: str, *, context: str = "") -> str:
        """Open what `encrypt_text` made.

        Raises:
            DecryptionError: It is no token of these keys, or it was made for another context.
        """
        data = self.decrypt(token.encode("utf-8", _TEXT_ERRORS), context=context)
        return data.decode("utf-8", _TEXT_ERRORS)

    def encrypt_json(self, value: Any, *, context: str = "") -> bytes:
        """Protect a JSON value."""
        try:
            data = orjson.dumps(value)
        except orjson.JSONEncodeError:  # lone surrogates and integers beyond 64 bit
            data = json.dumps(value).encode("ascii")
        return self.encrypt(data, context=context)

    def decrypt_json(self, token: bytes, *, context: str = "") -> Any:
        """Open what `encrypt_json` made.

        Raises:
            DecryptionError: It is no token of these keys, or it was made for another context.
        """
        data = self.decrypt(token, context=context)
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            return json.loads(data)

    def with_lasting(self, lasting: LastingKeys) -> "KeyRing":
        """Return a ring that hashes and seals with these keys."""
        ring = copy.copy(self)
        ring.lasting = lasting
        return ring

    def opens(self, token: bytes) -> bool:
        """Tell whether a token was made with one of these keys, whatever its context."""
        try:
            self._fernet.decrypt(token)
        except (InvalidToken, TypeError, ValueError):
            return False
        return True

    def rotate(self, token: bytes) -> bytes:
        """Return a token of the first key, whatever its context: itself if it is one already.

        Raises:
            DecryptionError: It is no token of these keys.
        """
        try:
            self._first.decrypt(token)
        except (InvalidToken, TypeError, ValueError):
            pass
        else:
            return token
        try:
            return self._fernet.rotate(token)
        except (InvalidToken, TypeError, ValueError) as exc:
            raise DecryptionError("a stored value cannot be decrypted") from exc

    def keyed_hash(self, value: str | bytes) -> str:
        """Return the hash by which an encrypted value is found: equal values, equal hashes."""
        data = value.encode("utf-8", _TEXT_ERRORS) if isinstance(value, str) else value
        return hmac.new(self.lasting.hashing, data, hashlib.sha256).hexdigest()

    def seal(self, data: bytes) -> bytes:
        """Return a digest that nobody can make without the keys; as lasting as `keyed_hash`."""
        return hmac.digest(self.lasting.sealing, data, "sha256")


def _derive(key: str, purpose: bytes) -> bytes:
    derivation = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose)
    return derivation.derive(key.encode("ascii"))
