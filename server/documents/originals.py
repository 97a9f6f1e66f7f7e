"""What a file of a run consists of: sent and kept, read from the server, or fetched."""

import asyncio
from dataclasses import dataclass

from yarl import URL

from persistence.blobs import BlobStore
from persistence.errors import NotFound
from persistence.ingest_records import IngestFile
from persistence.records import Document
from server.documents.names import clean_name
from server.documents.paths import FoundFile, ServerPaths
from server.errors import OriginalLost, TooLarge
from tools.outbound import Fetcher
from tools.outbound.filename import name_file


@dataclass(frozen=True, kw_only=True)
class Original:
    """The bytes, and what they are called."""

    data: bytes
    filename: str


def _name_of_kept(file: IngestFile, begun: Document | None) -> str:
    if begun is not None:
        return begun.filename
    if file.kind == "url" and file.location is not None:
        return clean_name(name_file("", URL(file.location))) or file.name
    return file.name


class Originals:
    """Gets them from wherever they are."""

    def __init__(
        self, *, blobs: BlobStore, paths: ServerPaths, fetcher: Fetcher, max_file_bytes: int
    ) -> None:
        self._blobs = blobs
        self._paths = paths
        self._fetcher = fetcher
        self._max_file_bytes = max_file_bytes

    async def get(self, file: IngestFile, begun: Document | None) -> Original:
        """The original of a file.

        Args:
            file: The file.
            begun: The document that it has become, which is not searchable yet.

        Raises:
            ServerError, FetchError: There is none to be had; the class says why.
        """
        blob = begun.blob if begun is not None else file.blob
        if blob is not None:
            try:
                data = await self._blobs.get(blob)
                return Original(data=data, filename=_name_of_kept(file, begun))
            except NotFound as exc:
                if file.location is None:
                    raise OriginalLost from exc
        if file.location is None:
            raise OriginalLost
        if file.kind == "url":
            fetched = await self._fetcher.fetch(file.location, max_bytes=self._max_file_bytes)
            return Original(data=fetched.data, filename=clean_name(fetched.filename) or file.name)
        found = FoundFile(path=file.location, size_bytes=file.size_bytes)
        data = await asyncio.to_thread(self._paths.read, found)
        return Original(data=data, filename=file.name)

    def require_size(self, size_bytes: int) -> None:
        """Return if a file of that size is taken.

        Raises:
            TooLarge: It is not.
        """
        if size_bytes > self._max_file_bytes:
            raise TooLarge(f"The file is larger than {self._max_file_bytes} bytes.")
