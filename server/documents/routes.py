"""The document routes."""

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, Query, Request

from server.citations import Source
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
from server.documents.multipart import read_upload_form
from server.documents.schemas import (
    DocumentAnswer,
    DocumentList,
    DocumentUpdate,
    IngestAnswer,
    IngestedFileAnswer,
    IngestErrorAnswer,
    IngestTotals,
    SearchAnswer,
    SearchHit,
    SearchRequest,
    SourceDetail,
)
from server.documents.service import DocumentService, Filing, IngestReport
from server.documents.sharing import DocumentSharing
from server.error_responses import responses
from server.errors import (
    DocumentNotFound,
    GroupNotFound,
    NotAuthorized,
    ResourceNotFound,
    TooLarge,
    UploadTooSlow,
    UpstreamFailed,
)
from server.routing import PolicedRoute

router = APIRouter(prefix="/v1", tags=["documents"], route_class=PolicedRoute)
Documents = Annotated[DocumentService, Depends(provided(DocumentService))]
Sharing = Annotated[DocumentSharing, Depends(provided(DocumentSharing))]
GroupFilter = Annotated[int | None, Query(ge=1, le=ROW_ID_MAX)]

_SNIPPET_CHARS = 300
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
                            "description": 'a JSON list of strings, such as ["handbook"]',
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


@router.post(
    "/ingest/upload",
    summary="Make files searchable for oneself, or for a group",
    openapi_extra=_UPLOAD_FORM,
    responses=responses(UploadTooSlow, TooLarge, GroupNotFound, UpstreamFailed),
)
async def upload(
    request: Request, caller: Caller, origin: RequestOrigin, documents: Documents, config: ApiConfig
) -> IngestAnswer:
    """Each file is judged alone: what was refused is listed in `errors` with a code.

    A file that one has already is taken as it is; its sharing changes only when that is said.
    """
    async with documents.upload_slot(caller):
        form = await read_upload_form(request, max_files=config.max_upload_files)
        filing = Filing(tags=form.tags, group_id=form.group_id, is_private=form.is_private)
        report = await documents.ingest(caller, origin, form.uploads, filing)
    return _ingest_answer(report)


@router.get("/documents", summary="The documents one may see")
async def list_documents(
    caller: Caller,
    documents: Documents,
    group_id: GroupFilter = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> DocumentList:
    """Lists one's own documents and those that are shared with one, the newest first."""
    page = await documents.list_documents(caller, group_id=group_id, limit=limit, offset=offset)
    return DocumentList(
        documents=[DocumentAnswer.model_validate(d, from_attributes=True) for d in page.items],
        total=page.total,
        limit=page.limit,
        offset=page.offset,
    )


@router.get(
    "/documents/{document_id}", summary="One document", responses=responses(DocumentNotFound)
)
async def read_document(document_id: RowId, caller: Caller, documents: Documents) -> DocumentAnswer:
    """Reads a document's description."""
    document = await documents.read(caller, document_id)
    return DocumentAnswer.model_validate(document, from_attributes=True)


@router.patch(
    "/documents/{document_id}",
    summary="Share a document with a group, or unshare it (owner)",
    responses=responses(NotAuthorized, DocumentNotFound, GroupNotFound),
)
async def share_document(
    document_id: RowId,
    body: DocumentUpdate,
    caller: Caller,
    origin: RequestOrigin,
    sharing: Sharing,
) -> DocumentAnswer:
    """Holds from the next request on, for searches and open conversations too."""
    document = await sharing.share(caller, origin, document_id, body.group_id)
    return DocumentAnswer.model_validate(document, from_attributes=True)


@router.delete(
    "/documents/{document_id}",
    summary="Delete a document: passages, description and original (owner)",
    status_code=204,
    responses=responses(NotAuthorized, DocumentNotFound),
)
async def delete_document(
    document_id: RowId, caller: Caller, origin: RequestOrigin, documents: Documents
) -> None:
    """Deletes a document."""
    await documents.delete(caller, origin, document_id)


@router.post("/search", summary="Search one's documents", responses=responses(UpstreamFailed))
async def search(body: SearchRequest, caller: Caller, documents: Documents) -> SearchAnswer:
    """Searches without asking the language model."""
    passages = await documents.search(
        caller, body.query, limit=body.limit, document_ids=body.document_ids
    )
    return SearchAnswer(
        hits=[
            SearchHit(score=passage.score, snippet=_snippet(passage.text), source=_source(passage))
            for passage in passages
        ]
    )


@router.get(
    "/sources/{source_id}", summary="Open a citation", responses=responses(ResourceNotFound)
)
async def open_source(source_id: str, caller: Caller, documents: Documents) -> SourceDetail:
    """The cited passage as it stands; access is judged now."""
    passage = await documents.open_source(caller, source_id)
    return SourceDetail.model_validate(
        _source(passage).model_dump() | {"heading": passage.heading, "text": passage.text}
    )


def _source(passage: Any) -> Source:
    return Source(
        id=passage.id,
        document_id=passage.document_id,
        title=passage.title,
        page=passage.page,
        start_seconds=passage.start_seconds,
        snippet=_snippet(passage.text),
        url=passage.url,
    )


def _snippet(text: str) -> str:
    return text if len(text) <= _SNIPPET_CHARS else text[: _SNIPPET_CHARS - 1].rstrip() + "…"


def _ingest_answer(report: IngestReport) -> IngestAnswer:
    files = [
        IngestedFileAnswer(
            document_id=file.document.id,
            path=file.path,
            mime=file.document.mime,
            size_bytes=file.size_bytes,
            chunks=file.document.chunks,
            status="unchanged" if file.unchanged else "indexed",
            is_private=file.document.is_private,
            group_id=file.document.group_id,
        )
        for file in report.files
    ]
    written = sum(file.chunks for file in files if file.status == "indexed")
    status = "success" if not report.errors else "partial" if files else "error"
    return IngestAnswer.model_validate(
        {
            "success": not report.errors,
            "run_id": uuid4(),
            "status": status,
            "files_processed": len(files),
            "chunks_written": written,
            "totals": IngestTotals(
                files=len(files) + len(report.errors),
                chunks=sum(file.chunks for file in files),
                total_bytes=sum(file.size_bytes for file in files),
            ),
            "files": files,
            "errors": [
                IngestErrorAnswer.model_validate(error, from_attributes=True)
                for error in report.errors
            ],
        }
    )
