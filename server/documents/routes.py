"""The document routes."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query

from server.citations import Source
from server.dependencies import (
    ROW_ID_MAX,
    Caller,
    Limit,
    Offset,
    RequestOrigin,
    RowId,
    provided,
)
from server.documents.editing import DocumentEdit, DocumentEditor
from server.documents.schemas import (
    DIGEST_MAX_CHARS,
    DocumentAnswer,
    DocumentList,
    DocumentUpdate,
    SearchAnswer,
    SearchHit,
    SearchRequest,
    SourceDetail,
)
from server.documents.service import DocumentFilter, DocumentService
from server.documents.tags import TAGS_MAX, OneLine, Tag
from server.error_responses import responses
from server.errors import (
    DocumentNotFound,
    GroupNotFound,
    NotAuthorized,
    ResourceNotFound,
    UpstreamFailed,
)
from server.pages import place_of
from server.routing import PolicedRoute
from tools.cite_labels import cite_label

MIME_MAX_CHARS = 255
_SNIPPET_CHARS = 300

router = APIRouter(prefix="/v1", tags=["documents"], route_class=PolicedRoute)
Documents = Annotated[DocumentService, Depends(provided(DocumentService))]
Editor = Annotated[DocumentEditor, Depends(provided(DocumentEditor))]
Digest = Annotated[str | None, Query(max_length=DIGEST_MAX_CHARS)]
GroupFilter = Annotated[
    int | None, Query(ge=1, le=ROW_ID_MAX, description="only what is shared with this group")
]
TagFilter = Annotated[
    Sequence[Tag],
    Query(max_length=TAGS_MAX, description="only what has this tag; all of them, if repeated"),
]
MimeFilter = Annotated[
    str | None, Query(max_length=MIME_MAX_CHARS, description="only what is of this type"), OneLine
]
StatusFilter = Annotated[
    Literal["pending", "indexed", "failed"] | None, Query(description="only what is so far")
]


async def _wanted(
    group_id: GroupFilter = None,
    tag: TagFilter = (),
    mime: MimeFilter = None,
    status: StatusFilter = None,
) -> DocumentFilter:
    return DocumentFilter(group_id=group_id, tags=tag, mime=mime, status=status)


Wanted = Annotated[DocumentFilter, Depends(_wanted)]


@router.get("/documents", summary="The documents one may see")
async def list_documents(
    caller: Caller,
    documents: Documents,
    wanted: Wanted,
    limit: Limit = 50,
    offset: Offset = 0,
) -> DocumentList:
    """Lists one's own documents and those that are shared with one, the newest first."""
    page = await documents.list_documents(caller, wanted, limit=limit, offset=offset)
    return DocumentList(
        documents=[_described(each, caller) for each in page.items],
        **place_of(page),
    )


@router.get(
    "/documents/{document_id}", summary="One document", responses=responses(DocumentNotFound)
)
async def read_document(document_id: RowId, caller: Caller, documents: Documents) -> DocumentAnswer:
    """Reads a document's description."""
    document = await documents.read(caller, document_id)
    return _described(document, caller)


@router.patch(
    "/documents/{document_id}",
    summary="Share a document with a group, or unshare it; change its title and tags (owner)",
    responses=responses(NotAuthorized, DocumentNotFound, GroupNotFound),
)
async def edit_document(
    document_id: RowId,
    body: DocumentUpdate,
    caller: Caller,
    origin: RequestOrigin,
    editor: Editor,
) -> DocumentAnswer:
    """All of it or nothing; it holds from the next request on, for open conversations too."""
    edit = DocumentEdit(
        title=body.title,
        tags=None if body.tags is None else tuple(body.tags),
        says_who_reads=body.says_who_reads,
        group_id=body.group_id,
    )
    document = await editor.edit(caller, origin, document_id, edit)
    return _described(document, caller)


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
    found = await documents.search(
        caller, body.query, limit=body.limit, document_ids=body.document_ids, tags=body.tags
    )
    return SearchAnswer(
        hits=[_hit(passage) for passage in found.passages], complete=found.is_complete
    )


@router.get(
    "/sources/{source_id}", summary="Open a citation", responses=responses(ResourceNotFound)
)
async def open_source(
    source_id: str, caller: Caller, documents: Documents, digest: Digest = None
) -> SourceDetail:
    """The cited passage as it stands; access is judged now.

    With the `digest` of the citation it is told whether the text is still the one that was cited:
    after a document was replaced, the same place may say something else.
    """
    opened = await documents.open_source(caller, source_id)
    passage = opened.passage
    return SourceDetail(
        **_source(passage).model_dump(),
        heading=passage.heading,
        text=passage.text,
        place=opened.place,
        before=opened.before,
        after=opened.after,
        document_url=opened.document_url,
        changed=opened.differs_from(digest) if digest is not None else None,
    )


def _hit(passage: Any) -> SearchHit:
    source = _source(passage)
    return SearchHit(score=passage.score, snippet=source.snippet, source=source)


def _described(document: Any, caller: Caller) -> DocumentAnswer:
    """The document; where it is from may be an address that opens more than the document."""
    answer = DocumentAnswer.model_validate(document, from_attributes=True)
    if document.owner_id != caller.user.id:
        answer.source = None
    return answer


def _source(passage: Any) -> Source:
    return Source(
        id=passage.id,
        label=cite_label(passage.citation_key),
        document_id=passage.document_id,
        title=passage.title,
        filename=passage.filename,
        page=passage.page,
        start_seconds=passage.start_seconds,
        snippet=_snippet(passage.cited_text),
        url=passage.url,
        digest=passage.digest,
    )


def _snippet(text: str) -> str:
    return text if len(text) <= _SNIPPET_CHARS else text[: _SNIPPET_CHARS - 1].rstrip() + "…"
