"""The images of messages, one by one: a session's page of messages would be too large with them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from server.chat.sessions import SessionService
from server.dependencies import Caller, RowId, SessionPath, provided
from server.error_responses import responses
from server.errors import ImageNotFound, MessageNotFound, SessionNotFound
from server.routing import PolicedRoute

router = APIRouter(prefix="/v1", tags=["chat"], route_class=PolicedRoute)
ImageNumber = Annotated[int, Path(ge=1, le=100)]


@router.get(
    "/chat/sessions/{session_id}/messages/{message_id}/images/{number}",
    summary="An image of a message",
    response_class=Response,
    responses=responses(SessionNotFound, MessageNotFound, ImageNotFound)
    | {
        200: {
            "description": "The image as it was sent.",
            "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def read_image(
    session_id: SessionPath,
    message_id: RowId,
    number: ImageNumber,
    caller: Caller,
    sessions: Annotated[SessionService, Depends(provided(SessionService))],
) -> Response:
    """The first one is number 1."""
    image = await sessions.read_image(caller, session_id, message_id, number)
    return Response(image.data, media_type=image.mime)
