"""A proxy between a client and a server that breaks event streams off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

PIECE_BYTES = 64 * 1024
_DATA = b"\ndata: "


class CuttingProxy:
    """Passes everything on, and drops a connection in the middle of one event too many."""

    def __init__(self, url: str, *, events: int) -> None:
        """Args: events: so many pass over each connection."""
        self._target = urlsplit(url)
        self._events = events
        self.cuts = 0
        """How many connections were dropped."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        passing = [
            asyncio.create_task(_pass_on(reader, back)),
            asyncio.create_task(self._cut(there, writer)),
        ]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in passing:
                task.cancel()
            await asyncio.gather(*passing, return_exceptions=True)
            for each in (back, writer):
                each.close()

    async def _cut(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._events
        while piece := await reader.read(PIECE_BYTES):
            passed = 0
            while (found := piece.find(_DATA, passed)) >= 0:
                if not left:
                    self.cuts += 1
                    writer.write(piece[: found + 3])
                    await writer.drain()
                    return
                left -= 1
                passed = found + len(_DATA)
            writer.write(piece)
            await writer.drain()


@asynccontextmanager
async def open_cutting_proxy(url: str, *, events: int) -> AsyncIterator[tuple[CuttingProxy, str]]:
    """Yields a proxy and its address."""
    proxy = CuttingProxy(url, events=events)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    try:
        yield proxy, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
