"""How one value of an agent's state becomes a token and comes back."""

import zlib
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol

from persistence.encryption import KeyRing
from persistence.errors import DecryptionError
from persistence.large_values import apart_if_large

_ENCRYPTED = "+fernet"
_COMPRESSED = "+zlib"
_KINDS = frozenset({"null", "bytes", "bytearray", "msgpack"})
_COMPRESS_FROM_BYTES = 512
_FASTEST = 1


class ThreadSerializer(SerializerProtocol):
    """Encrypts every value for one thread, the short ones too, and refuses what is not encrypted.

    A token that was copied into another thread is refused, and so is one whose type was changed:
    both are part of what the token is bound to.
    """

    def __init__(self, plain: SerializerProtocol, key_ring: KeyRing, *, thread_id: str) -> None:
        self._plain = plain
        self._key_ring = key_ring
        self._context = f"checkpoints/{thread_id}"

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return the type, marked as encrypted, and the token."""
        return self._seal(*self._plain.dumps_typed(obj))

    async def dump(self, obj: Any) -> tuple[str, bytes]:
        """Do the same as `dumps_typed`, apart from the event loop when there is much of it."""
        kind, data = self._plain.dumps_typed(obj)
        return await apart_if_large(len(data), lambda: self._seal(kind, data))

    async def load(self, data: tuple[str, bytes]) -> Any:
        """Do the same as `loads_typed`, apart from the event loop when there is much of it.

        Raises:
            DecryptionError: The value is not encrypted, or not for this thread.
        """
        return await apart_if_large(len(data[1]), lambda: self.loads_typed(data))

    def _seal(self, kind: str, data: bytes) -> tuple[str, bytes]:
        if len(data) >= _COMPRESS_FROM_BYTES:
            # messages repeat the same names over and over, and tokens cannot be compressed later
            kind, data = kind + _COMPRESSED, zlib.compress(data, _FASTEST)
        token = self._key_ring.encrypt(data, context=f"{self._context}/{kind}")
        return kind + _ENCRYPTED, token

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value.

        Raises:
            DecryptionError: The value is not encrypted, or not for this thread.
        """
        marked_kind, token = data
        kind = marked_kind.removesuffix(_ENCRYPTED)
        plain_kind = kind.removesuffix(_COMPRESSED)
        if kind == marked_kind or plain_kind not in _KINDS:
            raise DecryptionError(f"a checkpoint holds a value of the type {marked_kind!r}")
        content = self._key_ring.decrypt(token, context=f"{self._context}/{kind}")
        if plain_kind != kind:
            content = zlib.decompress(content)
        return self._plain.loads_typed((plain_kind, content))
