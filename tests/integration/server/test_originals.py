"""What a file consists of that was fetched or sent before, and is tried once more."""

from pathlib import Path

from persistence.access import AccessScope
from persistence.blobs import BlobStore
from persistence.database import Database
from persistence.encryption import KeyRing
from persistence.ingest_records import IngestOrder, NewIngestFile
from server.documents.originals import Originals
from server.documents.paths import ServerPaths
from server.settings import SourceSettings
from tools.outbound import Fetcher
from tools.settings import OutboundSettings

ADDRESS = "https://example.org/shelf/leave%20plan.pdf?version=3"


async def test_what_was_fetched_before_is_called_as_it_was_then(
    database: Database, scope: AccessScope, key_ring: KeyRing, tmp_path: Path
) -> None:
    blobs = BlobStore(tmp_path, key_ring)
    given = NewIngestFile(
        kind="url", name=ADDRESS, location=ADDRESS, blob=await blobs.put(b"thirty one days")
    )
    async with database.unit_of_work(scope) as uow:
        await uow.ingest_runs.create(IngestOrder(), [given])
        file = await uow.ingest_files.get(given.id)
    originals = Originals(
        blobs=blobs,
        paths=ServerPaths(SourceSettings()),
        fetcher=Fetcher(OutboundSettings()),
        max_file_bytes=100,
    )

    original = await originals.get(file, None)

    assert (original.filename, original.data) == ("leave plan.pdf", b"thirty one days")
