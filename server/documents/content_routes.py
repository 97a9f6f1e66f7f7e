"""The originals of documents."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header

from server.closing_stream import ClosingStream
from server.dependencies import Caller, RowId, provided
from server.documents.contents import DocumentContents
from server.downloads import download_headers
from server.error_responses import responses
from server.errors import DocumentNotFound, RangeNotSatisfiable
from server.routing import PolicedRoute

router = APIRouter(prefix="/v1", tags=["documents"], route_class=PolicedRoute)

_BYTES = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
_CONTENT_DOC: dict[int | str, dict[str, Any]] = {
    200: {"description": "The bytes as they were given, as a file to keep.", "content": _BYTES},
    206: {"description": "The part that was asked for.", "content": _BYTES},
}


@router.get(
    "/documents/{document_id}/content",
    summary="The original of a document",
    response_class=ClosingStream,
    responses=_CONTENT_DOC | responses(DocumentNotFound, RangeNotSatisfiable),
)
async def read_content(
    document_id: RowId,
    caller: Caller,
    contents: Annotated[DocumentContents, Depends(provided(DocumentContents))],
    part: Annotated[
        str | None, Header(alias="Range", description="one part, such as `bytes=0-1023`")
    ] = None,
    if_range: Annotated[
        str | None, Header(description="the `ETag` that the part goes with; else comes all of it")
    ] = None,
) -> ClosingStream:
    """Readable by whoever may read the document. Browsers keep it and never show it as a page."""
    opened = await contents.open(caller, document_id, wanted=part, only_if=if_range)
    headers = {
        **download_headers(opened.document.filename),
        "Content-Length": str(opened.length),
        "Accept-Ranges": "bytes",
        "ETag": opened.etag,
    }
    if opened.part is not None:
        headers["Content-Range"] = opened.part.content_range
    return ClosingStream(
        opened.pieces,
        headers=headers,
        media_type=opened.document.mime,
        status_code=200 if opened.part is None else 206,
    )
