"""The routes by which files are made searchable."""

import re
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from server.dependencies import (
    ROW_ID_MAX,
    ApiConfig,
    Caller,
    Limit,
    Offset,
    RequestOrigin,
    RowId,
    provided,
)
from server.documents.ingest_answers import event_frames, report_answer, summary
from server.documents.ingest_schemas import (
    IngestAccepted,
    IngestPathRequest,
    IngestRunAnswer,
    IngestRunList,
)
from server.documents.ingestion import REPORTED_FILES_MAX, IngestService
from server.documents.multipart import read_upload_form
from server.documents.uploads import Filing, Place
from server.error_responses import responses
from server.errors import (
    DocumentNotFound,
    GroupNotFound,
    IngestConflict,
    IngestQueueFull,
    IngestRunNotFound,
    NotAuthorized,
    TooLarge,
    UploadTooSlow,
)
from server.pages import place_of
from server.routing import PolicedRoute
from server.runs.event_stream import EventStream

router = APIRouter(prefix="/v1", tags=["documents"], route_class=PolicedRoute)
Ingestion = Annotated[IngestService, Depends(provided(IngestService))]
Prefer = Annotated[
    str | None,
    Header(
        description="`wait=N`: seconds, at most 60, to wait for the end; 30 without it; "
        "`respond-async`: none"
    ),
]
EventNumber = Annotated[int | None, Header(ge=0, le=ROW_ID_MAX)]

WAIT_SECONDS = 30
WAIT_SECONDS_MAX = 60
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])", re.IGNORECASE)
_UPLOAD_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                        },
                        "tags": {
                            "type": "string",
                            "description": "words with commas between them, such as "
                            "hr,handbook, or a JSON list of strings",
                        },
                        "group_id": {
                            "type": "integer",
                            "description": "a group that one is in, to share the files with",
                        },
                        "is_private": {
                            "type": "boolean",
                            "description": "true without a group_id, false with one",
                        },
                    },
                }
            }
        },
    }
}
_CONTENT_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "model": IngestAccepted,
        "description": "The work goes on; `Location` is the run that tells of it.",
        "headers": {"Location": {"schema": {"type": "string"}}},
    }
}
_EVENTS_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`file` for each file that changed; `done`, the last one, is the run.",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "object",
                    "required": ["event", "data"],
                    "properties": {
                        "id": {"type": "string", "description": "what `Last-Event-ID` takes"},
                        "event": {"enum": ["file", "done"]},
                        "data": {"type": "string", "contentMediaType": "application/json"},
                    },
                }
            }
        },
    }
}


@router.post(
    "/ingest/upload",
    summary="Make files searchable for oneself, or for a group",
    openapi_extra=_UPLOAD_FORM,
    response_model=IngestRunAnswer,
    responses=_ACCEPTED | responses(UploadTooSlow, TooLarge, GroupNotFound, IngestQueueFull),
)
async def upload(
    request: Request,
    caller: Caller,
    origin: RequestOrigin,
    ingestion: Ingestion,
    config: ApiConfig,
    prefer: Prefer = None,
) -> Response:
    """Each file is judged alone: what was refused is listed in `errors` with a code.

    A file that one has already is taken as it is; its sharing changes only when that is said. The
    work goes on when it takes longer than is waited for, and when the client leaves.
    """
    async with ingestion.submission(caller, origin) as submission:
        async with ingestion.slot(submission):
            form = await read_upload_form(request, max_files=config.max_upload_files)
            filing = Filing(tags=form.tags, group_id=form.group_id, is_private=form.is_private)
            run = await ingestion.upload(submission, form.uploads, filing)
            del form
        return await _answer(ingestion, caller, run, prefer)


@router.put(
    "/documents/{document_id}/content",
    summary="Give a document another content (owner)",
    openapi_extra=_CONTENT_FORM,
    response_model=IngestRunAnswer,
    responses=_ACCEPTED
    | responses(
        UploadTooSlow, TooLarge, NotAuthorized, DocumentNotFound, IngestConflict, IngestQueueFull
    ),
)
async def replace_content(
    document_id: RowId,
    request: Request,
    caller: Caller,
    origin: RequestOrigin,
    ingestion: Ingestion,
    prefer: Prefer = None,
) -> Response:
    """Its id, tags and sharing stay, and a title that somebody gave it; until the new content is
    searchable, the old one is.

    A content that another document of one's own has is refused with `DOCUMENT_EXISTS`.
    """
    async with ingestion.submission(caller, origin) as submission:
        async with ingestion.slot(submission):
            form = await read_upload_form(request, max_files=1, part_name="file")
            run = await ingestion.replace(submission, document_id, form.uploads[0])
            del form
        return await _answer(ingestion, caller, run, prefer)


@router.post(
    "/ingest/path",
    summary="Make searchable what lies on the server or on the web",
    response_model=IngestRunAnswer,
    responses=_ACCEPTED | responses(NotAuthorized, GroupNotFound, IngestQueueFull),
)
async def take_from(
    body: IngestPathRequest,
    caller: Caller,
    origin: RequestOrigin,
    ingestion: Ingestion,
    prefer: Prefer = None,
) -> Response:
    """What was taken in from the same place before is replaced if it has changed."""
    is_url = body.from_web or _ADDRESS.match(body.path_or_url) is not None
    place = Place(location=body.path_or_url, is_url=is_url, recursive=body.recursive)
    filing = Filing(tags=body.tags, group_id=body.group_id, is_private=body.is_private)
    async with ingestion.submission(caller, origin) as submission:
        run = await ingestion.take_from(submission, place, filing)
        return await _answer(ingestion, caller, run, prefer)


@router.get("/ingest/runs", summary="What one has given to be made searchable")
async def list_runs(
    caller: Caller, ingestion: Ingestion, limit: Limit = 50, offset: Offset = 0
) -> IngestRunList:
    """Lists one's own runs, the newest first."""
    page = await ingestion.list_runs(caller, limit=limit, offset=offset)
    return IngestRunList(
        runs=[summary(run) for run in page.items],
        **place_of(page),
    )


@router.get(
    "/ingest/runs/{ingest_run_id}",
    summary="What has become of a run, file by file",
    responses=responses(IngestRunNotFound),
)
async def read_run(
    ingest_run_id: UUID,
    caller: Caller,
    ingestion: Ingestion,
    limit: Annotated[int, Query(ge=1, le=REPORTED_FILES_MAX)] = REPORTED_FILES_MAX,
    offset: Offset = 0,
) -> IngestRunAnswer:
    """Reads a run with so many of its files, in the order in which they were given or found.

    The numbers are those of the whole run; where the files go on is in `next_offset`.
    """
    return report_answer(await ingestion.read(caller, ingest_run_id, limit=limit, offset=offset))


@router.get(
    "/ingest/runs/{ingest_run_id}/events",
    summary="What becomes of a run, live to the end",
    response_class=Response,
    responses=_EVENTS_DOC | responses(IngestRunNotFound),
)
async def follow_run(
    ingest_run_id: UUID,
    caller: Caller,
    ingestion: Ingestion,
    config: ApiConfig,
    after: Annotated[int, Query(ge=0, le=ROW_ID_MAX)] = 0,
    last_event_id: EventNumber = None,
) -> EventStream:
    """Files that changed after the event `Last-Event-ID`, or else `after`; all without either.

    What happens to a file in quick succession is told once, and may be told again.
    """
    since = after if last_event_id is None else last_event_id
    looks = await ingestion.follow(
        caller, ingest_run_id, after=since, heartbeat_seconds=config.heartbeat_seconds
    )
    return EventStream(
        event_frames(looks, lambda: ingestion.read(caller, ingest_run_id), after=since)
    )


@router.post(
    "/ingest/runs/{ingest_run_id}/cancel",
    summary="Stop a run; what is searchable stays",
    responses=responses(IngestRunNotFound),
)
async def cancel_run(
    ingest_run_id: UUID, caller: Caller, origin: RequestOrigin, ingestion: Ingestion
) -> IngestRunAnswer:
    """Of what was not searchable yet nothing is kept; a run that has ended is left as it is."""
    return report_answer(await ingestion.cancel(caller, origin, ingest_run_id))


async def _answer(
    ingestion: IngestService, caller: Caller, run: Any, prefer: str | None
) -> Response:
    """The whole run if it ends in time, and otherwise where to look for it."""
    seconds, headers = _wait_of(prefer)
    run = await ingestion.wait(caller, run, seconds=seconds)
    if run.is_open:
        accepted = IngestAccepted(run_id=run.id, status=run.status)
        headers["Location"] = f"/v1/ingest/runs/{run.id}"
        return _json(accepted, headers, status_code=202)
    return _json(report_answer(await ingestion.read(caller, run.id)), headers)


def _wait_of(prefer: str | None) -> tuple[int, dict[str, str]]:
    """For how long to wait, and the header that says that it was heard (RFC 7240)."""
    found = _WAIT.search(prefer or "")
    if found is None and _ASYNC.search(prefer or ""):
        return 0, {"Preference-Applied": "respond-async"}
    if found is None:
        return WAIT_SECONDS, {}
    seconds = min(int(found[1]), WAIT_SECONDS_MAX)
    return seconds, {"Preference-Applied": f"wait={seconds}"}


def _json(
    answer: IngestAccepted | IngestRunAnswer, headers: dict[str, str], *, status_code: int = 200
) -> Response:
    return Response(
        answer.model_dump_json(),
        status_code=status_code,
        headers=headers,
        media_type="application/json",
    )
