"""The routes of the audit trail."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from server.audit.schemas import AuditEntryAnswer, AuditList, AuditPageQuery, AuditQuery
from server.audit.service import AuditService
from server.dependencies import Caller, RequestOrigin, provided
from server.error_responses import responses
from server.errors import NotAuthorized
from server.pages import place_of, show_each
from server.routing import PolicedRoute

router = APIRouter(prefix="/v1", tags=["audit"], route_class=PolicedRoute)
Audit = Annotated[AuditService, Depends(provided(AuditService))]

_MEDIA_TYPE = "application/x-ndjson"
_EXPORT_DOC: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A line of JSON for each entry; the last line is `{entries, head}`, with "
        "`fault` if the chain was tampered with. Without that line it is not complete.",
        "content": {_MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/audit",
    summary="What was done, the newest first (root, and group admins for their groups)",
    responses=responses(NotAuthorized),
)
async def read_audit(
    query: Annotated[AuditPageQuery, Query()], caller: Caller, origin: RequestOrigin, audit: Audit
) -> AuditList:
    """Reading the trail leaves an entry in it."""
    page = await audit.read(
        caller, origin, query.conditions, limit=query.limit, offset=query.offset
    )
    return AuditList(
        entries=show_each(AuditEntryAnswer, page.items),
        **place_of(page),
    )


@router.get(
    "/audit/export",
    summary="All that was done, as lines of JSON (root, and group admins for their groups)",
    response_class=StreamingResponse,
    responses=_EXPORT_DOC | responses(NotAuthorized),
)
async def export_audit(
    query: Annotated[AuditQuery, Query()], caller: Caller, origin: RequestOrigin, audit: Audit
) -> StreamingResponse:
    """The last line tells how many there were and where the chain of seals ended."""
    lines = await audit.export(caller, origin, query.conditions)
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": 'attachment; filename="audit.ndjson"',
    }
    return StreamingResponse(lines, media_type=_MEDIA_TYPE, headers=headers)
