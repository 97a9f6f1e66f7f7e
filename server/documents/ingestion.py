"""Files to be made searchable: given, followed, cancelled; the work itself is done by jobs."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from uuid import UUID

from persistence.access import AccessScope
from persistence.blobs import BlobStore
from persistence.database import Database
from persistence.errors import NotFound
from persistence.ingest_records import (
    DISCOVERY_RANK,
    UPLOAD_RANK,
    IngestFailure,
    IngestFile,
    IngestLook,
    IngestOrder,
    IngestRun,
    IngestSums,
    NewIngestFile,
)
from persistence.records import Document, Page
from server.audit.entry import audit_entry
from server.body_slots import BodySlots
from server.documents.ingest_feed import IngestFeed
from server.documents.lanes import lane_of
from server.documents.names import clean_name
from server.documents.originals import Originals
from server.documents.paths import ServerPaths
from server.documents.sharing import DocumentSharing, find_own
from server.documents.uploads import Filing, Place, Upload
from server.erasure.ingestion import IngestEraser
from server.errors import (
    IngestConflict,
    IngestQueueFull,
    IngestRunNotFound,
    NotAuthenticated,
    TooLarge,
)
from server.job_settings import JobSettings
from server.security.principal import Origin, Principal
from server.security.revocation import Revocation
from server.security.streams import end_with, ending_with

REPORTED_FILES_MAX = 1_000
"""Files of a run that are told of at once."""


@dataclass(frozen=True, kw_only=True)
class IngestReport:
    """What has become of a run so far, file by file."""

    run: IngestRun
    sums: IngestSums
    files: Sequence[IngestFile]
    """Some of them, in their order."""
    offset: int
    """How many come before them."""
    documents: dict[int, Document]
    """Those that the files have become, as far as they are still there."""

    @property
    def next_offset(self) -> int | None:
        """How many there are up to the last of these; None if nothing comes after it."""
        end = self.offset + len(self.files)
        return end if self.files and end < self.sums.files else None


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What one request gives."""

    principal: Principal
    origin: Origin
    run_ids: list[UUID] = field(default_factory=list)


class IngestService:
    """Runs of one principal at a time."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: BlobStore,
        originals: Originals,
        paths: ServerPaths,
        sharing: DocumentSharing,
        feed: IngestFeed,
        eraser: IngestEraser,
        revocation: Revocation,
        settings: JobSettings,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._originals = originals
        self._paths = paths
        self._sharing = sharing
        self._feed = feed
        self._eraser = eraser
        self._revocation = revocation
        self._settings = settings
        self._slots = BodySlots()

    @asynccontextmanager
    async def submission(self, principal: Principal, origin: Origin) -> AsyncIterator[Submission]:
        """Held from before a request's body is read until it is answered.

        Raises:
            NotAuthenticated: The user was locked out, or the login or key ended; what was not
                searchable by then is not kept.
        """
        submission = Submission(principal=principal, origin=origin)
        with self._revocation.watch(
            principal.user.id, login_id=principal.login_id, api_key_id=principal.api_key_id
        ) as watch:
            await self._revocation.confirm(watch)
            try:
                async with ending_with(watch):
                    yield submission
            except NotAuthenticated as exc:
                for run_id in submission.run_ids:
                    with suppress(NotFound):  # deleted with its user
                        await self._eraser.cancel(principal.scope, run_id, reason=exc)
                raise

    @asynccontextmanager
    async def slot(self, submission: Submission) -> AsyncIterator[None]:
        """Held while a body is in memory as a whole."""
        async with self._slots.held_by(submission.principal.user.id):
            yield

    async def upload(
        self, submission: Submission, uploads: Sequence[Upload], filing: Filing
    ) -> IngestRun:
        """Takes files that were sent; each of them waits for its turn, encrypted.

        Raises:
            GroupNotFound: They are to be shared with a group that the principal is not in.
            IngestQueueFull: Too much waits already.
        """
        if filing.group_id is not None:
            await self._sharing.require_membership(submission.principal, filing.group_id)
        return await self._keep(submission, uploads, _order(submission, filing))

    async def replace(self, submission: Submission, document_id: int, upload: Upload) -> IngestRun:
        """Takes another content for a document.

        Raises:
            DocumentNotFound: It does not exist for this principal.
            NotAuthorized: It is shared with the principal, who does not own it.
            IngestConflict: Its first content is not searchable yet.
            IngestQueueFull: Too much waits already.
        """
        async with self._database.unit_of_work(submission.principal.scope) as uow:
            document = await find_own(uow, document_id)
        if document.status == "pending":
            raise IngestConflict
        order = _order(submission, Filing())
        return await self._keep(submission, [upload], order, document_id=document_id)

    async def take_from(self, submission: Submission, place: Place, filing: Filing) -> IngestRun:
        """Has files read from the server's folders or from the web.

        Raises:
            NotAuthorized: The principal may not name paths of the server.
            GroupNotFound: They are to be shared with a group that the principal is not in.
            IngestQueueFull: Too much waits already.
        """
        if not place.is_url:
            self._paths.require_permission(submission.principal)
        if filing.group_id is not None:
            await self._sharing.require_membership(submission.principal, filing.group_id)
        name = PurePosixPath(place.location).name if not place.is_url else place.location
        file = NewIngestFile(
            kind="url" if place.is_url else "discovery",
            name=clean_name(name) or "unnamed",
            location=place.location,
            rank=UPLOAD_RANK if place.is_url else DISCOVERY_RANK,
        )
        return await self._enter(submission, [file], _order(submission, filing, place))

    async def wait(self, principal: Principal, run: IngestRun, *, seconds: float) -> IngestRun:
        """Waits for the end of a run, but no longer than so many seconds; returns it as it is."""
        return await self._feed.wait(principal.scope, run.id, seconds=seconds)

    async def read(
        self,
        principal: Principal,
        run_id: UUID,
        *,
        limit: int = REPORTED_FILES_MAX,
        offset: int = 0,
    ) -> IngestReport:
        """What has become of a run so far, and of so many of its files.

        Raises:
            IngestRunNotFound: It does not exist for this principal.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                run = await uow.ingest_runs.get(run_id)
            except NotFound as exc:
                raise IngestRunNotFound from exc
            sums = await uow.ingest_reports.sums(run_id)
            files = await uow.ingest_reports.files(run_id, limit=limit, offset=offset)
            ids = {file.document_id for file in files if file.document_id is not None}
            documents = await uow.documents.visible(ids)
        return IngestReport(run=run, sums=sums, files=files, offset=offset, documents=documents)

    async def list_runs(self, principal: Principal, *, limit: int, offset: int) -> Page[IngestRun]:
        """The principal's own runs, the newest first."""
        async with self._database.unit_of_work(principal.scope) as uow:
            return await uow.ingest_runs.page(limit=limit, offset=offset)

    async def follow(
        self, principal: Principal, run_id: UUID, *, after: int, heartbeat_seconds: float
    ) -> AsyncGenerator[IngestLook | None, None]:
        """What changes in a run, live to its end; nothing comes as None after so long in silence.

        It ends with an error when the principal may not come in any more.

        Raises:
            IngestRunNotFound: It does not exist for this principal.
            NotAuthenticated: The principal may not come in any more.
        """
        watch = self._revocation.watch(
            principal.user.id, login_id=principal.login_id, api_key_id=principal.api_key_id
        )
        await self._revocation.confirm(watch)
        await self._require(principal.scope, run_id)
        looks = self._feed.follow(
            principal.scope, run_id, after=after, heartbeat_seconds=heartbeat_seconds
        )
        return end_with(watch, looks)

    async def cancel(self, principal: Principal, origin: Origin, run_id: UUID) -> IngestReport:
        """Ends a run: what is searchable stays, of the rest nothing is kept.

        Raises:
            IngestRunNotFound: It does not exist for this principal.
            PersistenceError: A part does not answer; what is left is removed later.
        """
        async with self._database.unit_of_work(principal.scope) as uow:
            try:
                await uow.ingest_runs.get(run_id)
            except NotFound as exc:
                raise IngestRunNotFound from exc
            await uow.audit.record(
                audit_entry("ingest.cancel", principal, origin, resource=("ingest", str(run_id)))
            )
            await uow.commit()
        await self._eraser.cancel(principal.scope, run_id)
        return await self.read(principal, run_id)

    async def _keep(
        self,
        submission: Submission,
        uploads: Sequence[Upload],
        order: IngestOrder,
        *,
        document_id: int | None = None,
    ) -> IngestRun:
        """Puts what was sent into the blob store and enters it."""
        files: list[NewIngestFile] = []
        try:
            for upload in uploads:
                files.append(  # noqa: PERF401 - what is kept by then is known when one fails
                    await self._keep_one(upload, document_id)
                )
            return await self._enter(submission, files, order)
        except BaseException:
            for file in files:
                if file.blob is not None:
                    await self._blobs.delete(file.blob)
            raise

    async def _keep_one(self, upload: Upload, document_id: int | None) -> NewIngestFile:
        refusal = None
        try:
            self._originals.require_size(len(upload.data))
        except TooLarge as exc:
            refusal = IngestFailure(code=exc.code, message=str(exc))
        return NewIngestFile(
            kind="upload" if document_id is None else "content",
            name=upload.filename,
            blob=await self._blobs.put(upload.data) if refusal is None else None,
            content_hash=await asyncio.to_thread(_digest, upload.data),
            size_bytes=len(upload.data),
            document_id=document_id,
            refusal=refusal,
            lane=lane_of(upload.data),
        )

    async def _enter(
        self, submission: Submission, files: Sequence[NewIngestFile], order: IngestOrder
    ) -> IngestRun:
        principal = submission.principal
        async with self._database.unit_of_work(principal.scope) as uow:
            load = await uow.ingest_runs.waiting()
            size = load.size_bytes + sum(file.size_bytes for file in files if file.blob)
            if (
                load.files + len(files) > self._settings.max_waiting_files
                or size > self._settings.max_waiting_bytes
            ):
                raise IngestQueueFull
            run = await uow.ingest_runs.create(
                order, files, api_key_id=principal.api_key_id, login_id=principal.login_id
            )
            for file in files:
                if file.refusal is not None:
                    entry = audit_entry(
                        "document.ingest",
                        principal,
                        submission.origin,
                        resource=("document", None),
                        success=False,
                        details={"code": file.refusal.code},
                    )
                    await uow.audit.record(entry)
            await uow.commit()
        submission.run_ids.append(run.id)
        return run

    async def _require(self, scope: AccessScope, run_id: UUID) -> None:
        async with self._database.unit_of_work(scope) as uow:
            try:
                await uow.ingest_runs.get(run_id)
            except NotFound as exc:
                raise IngestRunNotFound from exc


def _order(submission: Submission, filing: Filing, place: Place | None = None) -> IngestOrder:
    origin = submission.origin
    return IngestOrder(
        tags=tuple(filing.tags),
        group_id=filing.group_id,
        is_private=filing.is_private,
        source=place.location if place is not None else None,
        recursive=place is not None and place.recursive,
        ip=origin.ip,
        user_agent=origin.user_agent,
        correlation_id=origin.correlation_id,
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
