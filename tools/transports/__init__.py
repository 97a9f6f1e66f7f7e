"""How messages travel between a client session and a server; one transport a file."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp.types import RequestId

from tools.errors import ToolsError

MESSAGE_MAX_BYTES = 16 * 1024 * 1024
"""What a larger message answered is an error; the session goes on."""

ReadStream: TypeAlias = MemoryObjectReceiveStream[SessionMessage | Exception]
WriteStream: TypeAlias = MemoryObjectSendStream[SessionMessage]
Streams: TypeAlias = tuple[ReadStream, WriteStream]


@dataclass(frozen=True, kw_only=True)
class Observer:
    """Whom a transport tells what is in no message."""

    suspect: Callable[[], None]
    """Something happened after which the server may be gone."""
    drop: Callable[[RequestId | None, ToolsError], None]
    """The answer to this request will not come; without a number, that to any of them."""


class Transport(Protocol):
    """One way to one server; can be opened again and again."""

    @property
    def kind(self) -> Literal["memory", "stdio", "http"]:
        """What status reports call it."""
        ...

    def has_ended(self) -> bool:
        """Whether the server is gone for certain, though the session may not have noticed yet."""
        ...

    def open(self, observer: Observer) -> AbstractAsyncContextManager[Streams]:
        """Connect; the streams end when the connection does."""
        ...

    def explain(self, error: BaseException) -> str:
        """Say in a few words, free of secrets, why a connection failed."""
        ...
