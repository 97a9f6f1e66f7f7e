"""Chat over a WebSocket: messages in, and the events of the runs that answer them as they come.

The client sends `text`, `audio`, `stop`, `approval`, `answer` and `resume`, as `socket_schemas` has
them, and may send the next one at any time: texts and recordings are asked one after the other, up
to 16 of them wait (as long as what a user has waiting takes no more than 64 MiB, and that of all
users 256; what is beyond is an `error`), and the others are taken at once. The server sends

- the events of runs: what `POST /v1/chat/stream` sends as data, with `type` and the event's `id`
  (`sources`, whose data is a list, has it as `sources`);
- `queued {run_id, session_id}`: a message with `multitask: enqueue` waits for its turn; its `run`
  event comes when that has come;
- `resumed {run_id, last_event_id}`: what comes next are the events of that run that follow this
  one. It answers `resume`, and comes wherever the events go from one run to another whose first
  event, `run`, was sent before;
- `answered {run_id, pending}`: the decisions of an `approval`, or the answers of an `answer`, were
  taken, and these approvals or questions of the run are still the caller's to answer;
- `stopped {session_id}`: the message that was being read, or was next, is not going to be a run;
- `ended {run_id, status}`: the run of a `resume` or `stop` has ended, and nothing of it will come;
- `error {code, message, details?}` without an `id`: a message was not taken, or a run cannot be
  followed any further. The socket stays open.

So an event belongs to the run that was named last, by `run` or by `resumed`, and whoever knows a
run's id and the last `id` that came of it can come back to that place on any socket. Runs of one
session that were asked for here come whole, one after the other. A run is followed to its real
end: after a `done` with the status `awaiting_approval` its events go on, whoever answers.

Close codes: 4401, the caller may not come in any more; 1009, a message was too big; 1011, a fault
of the server; 1012, the server stops, and runs go on at another.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, WebSocket

from server.chat.message_body import MessageReader
from server.chat.message_memory import MessageMemory
from server.chat.open_sockets import OpenSockets
from server.chat.service import ChatService
from server.chat.socket import ChatSocket, SocketServices
from server.dependencies import RequestOrigin, SessionPath, provided
from server.policy import POLICIES
from server.questions.service import QuestionService
from server.routing import admit, current_principal
from server.runs.approvals import ApprovalService
from server.runs.service import RunService
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


async def _services(
    chat: Annotated[ChatService, Depends(provided(ChatService))],
    runs: Annotated[RunService, Depends(provided(RunService))],
    approvals: Annotated[ApprovalService, Depends(provided(ApprovalService))],
    questions: Annotated[QuestionService, Depends(provided(QuestionService))],
    authenticator: Annotated[Authenticator, Depends(provided(Authenticator))],
    reader: Annotated[MessageReader, Depends(provided(MessageReader))],
    memory: Annotated[MessageMemory, Depends(provided(MessageMemory))],
) -> SocketServices:
    return SocketServices(
        chat=chat,
        runs=runs,
        approvals=approvals,
        questions=questions,
        authenticator=authenticator,
        reader=reader,
        memory=memory,
    )


@router.websocket(PATH)
async def chat(
    websocket: WebSocket,
    caller: Annotated[Principal, Depends(_admitted)],
    session_id: SessionPath,
    origin: RequestOrigin,
    services: Annotated[SocketServices, Depends(_services)],
    revocation: Annotated[Revocation, Depends(provided(Revocation))],
    sockets: Annotated[OpenSockets, Depends(provided(OpenSockets))],
) -> None:
    """A refused handshake is answered over HTTP, in the form of every error."""
    with (
        sockets.one_of(caller.user.id),
        revocation.watch(
            caller.user.id, login_id=caller.login_id, api_key_id=caller.api_key_id
        ) as watch,
    ):
        # Looked at once more: the lock-out may have come before the watch was taken.
        caller = await services.authenticator.recheck(caller)
        offered: list[str] = websocket.scope["subprotocols"]
        await websocket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        socket = ChatSocket(
            websocket,
            caller=caller,
            session_id=session_id,
            origin=origin,
            services=services,
            count=websocket.state.count_message,
        )
        await socket.serve(watch)
