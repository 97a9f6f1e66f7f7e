"""How messages travel between a client session and a server; one transport a file."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, TypeAlias

from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

ReadStream: TypeAlias = MemoryObjectReceiveStream[SessionMessage | Exception]
WriteStream: TypeAlias = MemoryObjectSendStream[SessionMessage]
Streams: TypeAlias = tuple[ReadStream, WriteStream]


class Transport(Protocol):
    """One way to one server; can be opened again and again."""

    @property
    def kind(self) -> Literal["memory", "stdio", "http"]:
        """What status reports call it."""
        ...

    @property
    def loses_messages(self) -> bool:
        """Whether an unreadable message is the answer to a call, and so will not come again."""
        ...

    def has_ended(self) -> bool:
        """Whether the server is gone for certain, though the session may not have noticed yet."""
        ...

    def open(self, suspect: Callable[[], None]) -> AbstractAsyncContextManager[Streams]:
        """Connect; the streams end when the connection does.

        `suspect` is called when something happened after which the server may be gone.
        """
        ...

    def explain(self, error: BaseException) -> str:
        """Say in a few words, free of secrets, why a connection failed."""
        ...
