"""The pictures, sounds and files that tools have answered with."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from server.dependencies import Caller, provided
from server.downloads import download_headers
from server.error_responses import responses
from server.errors import ToolContentNotFound
from server.routing import PolicedRoute
from server.tool_contents.service import ToolContentService

router = APIRouter(prefix="/v1", tags=["runs"], route_class=PolicedRoute)

_ANYTHING = "application/octet-stream"
_ENDINGS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "audio/wav": ".wav",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/flac": ".flac",
    "audio/webm": ".webm",
    "audio/mp4": ".m4a",
}
"""For what has no name of its own."""


@router.get(
    "/tool-contents/{content_id}",
    summary="A picture, a sound or a file that a tool has answered with",
    response_class=Response,
    responses=responses(ToolContentNotFound)
    | {
        200: {
            "description": "The bytes as the tool gave them, as a file to keep.",
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def read_tool_content(
    content_id: UUID,
    caller: Caller,
    contents: Annotated[ToolContentService, Depends(provided(ToolContentService))],
) -> Response:
    """For whoever asked, as long as the run is kept; `contents` of its events name it.

    Images and sounds come with the type that their bytes have, whatever else as a row of bytes.
    """
    content = await contents.read(caller, content_id)
    facts = content.facts
    name = facts.name or f"{facts.kind}{_ENDINGS.get(facts.mime, '')}"
    is_known = facts.kind in {"image", "audio"}
    media_type = facts.mime if is_known else _ANYTHING
    return Response(content.data, media_type=media_type, headers=download_headers(name))
