"""Chat over a WebSocket: several messages one after the other, and their events as they come."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, WebSocket

from server.chat.schemas import SESSION_ID_PATTERN
from server.chat.service import ChatService
from server.chat.socket import ChatSocket
from server.dependencies import RequestOrigin, provided
from server.policy import POLICIES
from server.routing import admit, current_principal
from server.security.credentials import Authenticator
from server.security.presented import SUBPROTOCOL
from server.security.principal import Principal
from server.security.revocation import Revocation

PATH = "/v1/ws/chat/{session_id}"

router = APIRouter()


async def _admitted(websocket: WebSocket) -> Principal:
    """Asked before anything else of the handshake is looked at, and before it is accepted."""
    admit(websocket, POLICIES[f"WS {PATH}"])
    return current_principal(websocket)


@router.websocket(PATH)
async def chat(
    websocket: WebSocket,
    caller: Annotated[Principal, Depends(_admitted)],
    session_id: Annotated[str, Path(pattern=SESSION_ID_PATTERN)],
    origin: RequestOrigin,
    service: Annotated[ChatService, Depends(provided(ChatService))],
    authenticator: Annotated[Authenticator, Depends(provided(Authenticator))],
    revocation: Annotated[Revocation, Depends(provided(Revocation))],
) -> None:
    """A refused handshake is answered over HTTP, in the form of every error."""
    with revocation.watch(
        caller.user.id, login_id=caller.login_id, api_key_id=caller.api_key_id
    ) as watch:
        # Looked at once more: the lock-out may have come before the watch was taken.
        caller = await authenticator.recheck(caller)
        offered: list[str] = websocket.scope["subprotocols"]
        await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        socket = ChatSocket(
            websocket,
            caller=caller,
            session_id=session_id,
            origin=origin,
            chat=service,
            authenticator=authenticator,
            count=websocket.state.count_message,
        )
        await socket.serve(watch)
