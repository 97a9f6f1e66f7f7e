"""Runs that are followed over WebSockets: again, several at once, in turn, and across approvals."""

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from server.chat.followed_runs import FOLLOWED_MAX
from server.chat.socket import LOCKED_OUT
from server.runs.wire import message
from tests.fixtures.images import make_png
from tests.fixtures.product import Product, client_for, open_product, settings_for
from tests.fixtures.sockets import ANSWER_SECONDS, Socket, open_socket
from tests.integration.server.people import Person, make_group, open_person

pytestmark = pytest.mark.asyncio(loop_scope="module")

KM = {"value": 5, "from_unit": "km", "to_unit": "mile"}
KG = {"value": 3, "from_unit": "kg", "to_unit": "pound"}
_FRAME = re.compile(rb"id: (\d+)\nevent: (\w+)\ndata: (.*)\n\n")


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product: Product) -> Product:
    return shared_product


@dataclass(frozen=True)
class Talker:
    """A user who talks over sockets, and the admin of a group that the user is in."""

    product: Product
    person: Person
    admin: Person
    group_id: int

    def socket(
        self, session_id: str = "s", *, url: str | None = None
    ) -> AbstractAsyncContextManager[Socket]:
        """Another connection of the user."""
        return open_socket(url or self.product.url, session_id, key=key_of(self.person))

    async def transcript(self, run_id: str) -> list[str]:
        """What GET gives of a run from the beginning, in the form that a socket would send."""
        answer = await self.person.client.get(f"/v1/runs/{run_id}/events")
        assert answer.status_code == 200, answer.text
        frames = _FRAME.findall(answer.content)
        return [message((int(number), name.decode(), data)) for number, name, data in frames]

    async def ask_first(self, **rule: Any) -> None:
        """Has conversions of units put to a person."""
        body = {"group_id": self.group_id, "tool": "units.*", "verdict": "ask", **rule}
        answer = await self.product.client.post("/v1/tool-policies", json=body)
        assert answer.status_code == 201, answer.text


def key_of(person: Person) -> str:
    return person.client.headers["Authorization"].removeprefix("Bearer ")


@pytest_asyncio.fixture(loop_scope="module")
async def talker(product: Product) -> AsyncIterator[Talker]:
    async with open_person(product, "ada") as ada, open_person(product, "bob") as bob:
        yield Talker(product, bob, ada, await make_group(ada, bob))


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(each["text"] for each in events if each["type"] == "token")


def asked_in(events: list[dict[str, Any]]) -> list[str]:
    return [each["approval_id"] for each in events if each["type"] == "approval"]


async def receive(socket: Socket) -> str:
    async with asyncio.timeout(ANSWER_SECONDS):
        received = await socket.connection.recv()
    assert isinstance(received, str)
    return received


async def follow_in_pieces(talker: Talker, run_id: str, *, most: int) -> list[str]:
    """Everything of a run, over connections each of which is cut after a few events."""
    heard: list[str] = []
    while not (heard and '"type":"done"' in heard[-1] and "awaiting" not in heard[-1]):
        async with talker.socket() as socket:
            await socket.send(type="resume", run_id=run_id, last_event_id=len(heard))
            resumed = await socket.next()
            assert resumed == {
                "type": "resumed",
                "run_id": run_id,
                "last_event_id": len(heard),
            }
            for _ in range(most):
                heard.append(await receive(socket))
                if '"type":"done"' in heard[-1]:
                    break
            socket.connection.transport.abort()
        if heard and "awaiting_approval" in heard[-1]:
            decisions = [each for each in heard if each.startswith('{"type":"approval"')]
            approval_id = re.findall(r'"approval_id":"([^"]+)"', decisions[-1])[0]
            answer = await talker.person.client.post(
                f"/v1/runs/{run_id}/resume",
                json={"decisions": {approval_id: {"decision": "allow"}}},
            )
            assert answer.status_code == 202, answer.text
    return heard


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_a_socket_that_is_cut_again_and_again_gets_every_event_once_byte_for_byte(
    talker: Talker, most: int
):
    await talker.ask_first()
    talker.product.model.call("datetime__now", {"timezone": "UTC"}, text="Let me see. ")
    talker.product.model.call("units__convert", KM, text="Now this: ")
    pause = talker.product.model.hang(text="So that is è 3.1 \U0001f600 miles, about.", after=2)
    async with talker.socket() as socket:
        await socket.send(type="text", content="Convert this.")
        run_id = (await socket.next())["run_id"]
        socket.connection.transport.abort()
    following = asyncio.create_task(follow_in_pieces(talker, run_id, most=most))
    await pause.reached.wait()
    pause.release()
    heard = await following
    assert heard == await talker.transcript(run_id)
    assert len(heard) > 8


async def test_a_run_that_another_replica_executes_is_followed_live(talker: Talker, tmp_path: Path):
    here = talker.product
    url = here.settings.database.url
    assert url is not None
    settings = settings_for(tmp_path, url.get_secret_value(), here.model)
    async with open_product(settings, here.secrets, here.model) as there:
        pause = here.model.hang(text="one two three four", after=2)
        async with talker.socket() as socket, talker.socket(url=there.url) as other:
            await socket.send(type="text", content="count", enable_tools=False)
            run_id = (await socket.next())["run_id"]
            await pause.reached.wait()
            await other.send(type="resume", run_id=run_id)
            heard = [await other.next(), await other.next(), await other.next()]
            pause.release()
            heard += await other.until("done")
            ended = await socket.until("done")
    assert [each["type"] for each in heard[:3]] == ["resumed", "run", "token"]
    assert text_of(heard) == "one two three four"
    assert heard[-1] == ended[-1]


async def test_a_run_that_has_ended_is_resumed_and_one_of_somebody_else_is_not(talker: Talker):
    talker.product.model.reply("Hello.")
    async with talker.socket() as socket:
        await socket.send(type="text", content="hi", enable_tools=False)
        events = await socket.until("done")
        for after in range(len(events)):
            await socket.send(type="resume", run_id=events[0]["run_id"], last_event_id=after)
            assert (await socket.next())["type"] == "resumed"
            assert await socket.until("done") == events[after:]
        run_id = events[0]["run_id"]
        for after in (len(events), len(events) + 1):
            await socket.send(type="resume", run_id=run_id, last_event_id=after)
            assert (await socket.next())["type"] == "resumed"
            over = {"type": "ended", "run_id": run_id, "status": "success"}
            assert await socket.next() == over
        await socket.send(type="stop", run_id=run_id)
        assert await socket.next() == over
    async with open_socket(talker.product.url, key=key_of(talker.admin)) as stranger:
        await stranger.send(type="resume", run_id=events[0]["run_id"], last_event_id=0)
        assert (await stranger.next())["code"] == "RUN_NOT_FOUND"


async def test_messages_wait_for_their_turn_and_are_answered_one_after_the_other(talker: Talker):
    pause = talker.product.model.hang(text="the first answer", after=1)
    talker.product.model.reply("the second answer")
    talker.product.model.reply("the third answer")
    async with talker.socket() as socket:
        await socket.send(type="text", content="one", enable_tools=False)
        await pause.reached.wait()
        for content in ("two", "three"):
            message = {"content": content, "enable_tools": False, "multitask": "enqueue"}
            await socket.send(type="text", **message)
        first = await socket.until("queued")
        first += await socket.until("queued")
        queued = [each["run_id"] for each in first if each["type"] == "queued"]
        pause.release()
        first += await socket.until("done")
        second, third = await socket.until("done"), await socket.until("done")
    assert [each["run_id"] for each in first if each["type"] == "run"] == [first[0]["run_id"]]
    assert [second[0]["run_id"], third[0]["run_id"]] == queued
    assert [text_of(each) for each in (first, second, third)] == [
        "the first answer",
        "the second answer",
        "the third answer",
    ]
    assert [each["id"] for each in second] == list(range(1, len(second) + 1))


async def test_a_message_that_waits_is_stopped_and_the_answer_goes_on(talker: Talker):
    pause = talker.product.model.hang(text="the whole answer", after=1)
    async with talker.socket() as socket:
        await socket.send(type="text", content="one", enable_tools=False)
        await pause.reached.wait()
        await socket.send(type="text", content="two", enable_tools=False, multitask="enqueue")
        heard = await socket.until("queued")
        await socket.send(type="stop", run_id=heard[-1]["run_id"])
        stopped = await socket.until("done")
        pause.release()
        rest = await socket.until("done")
    assert stopped[-1]["metadata"]["status"] == "cancelled"
    assert rest[0]["type"] == "resumed"
    assert rest[0]["run_id"] == heard[0]["run_id"]
    assert rest[-1]["metadata"]["status"] == "success"
    numbered = [each for each in [*heard, *stopped, *rest] if each.get("id", 0) > 1]
    assert text_of(numbered) == "the whole answer"


async def test_two_sessions_are_followed_at_once_and_can_be_told_apart(talker: Talker):
    pauses, run_ids = [], []
    async with talker.socket("left") as left, talker.socket("right") as right:
        for socket, words in ((left, "l1 l2 l3"), (right, "r1 r2 r3")):
            pauses.append(talker.product.model.hang(text=words, after=1))
            await socket.send(type="text", content="count", enable_tools=False)
            run_ids.append((await socket.next())["run_id"])
            await pauses[-1].reached.wait()
        await left.send(type="resume", run_id=run_ids[1], last_event_id=1)
        heard = await left.until("resumed")
        heard += await left.until("token")
        pauses[0].release()
        heard += await left.until("done")
        pauses[1].release()
        heard += await left.until("done")
    said, named = {run_ids[0]: "", run_ids[1]: ""}, run_ids[0]
    for event in heard:
        named = event.get("run_id", named)
        said[named] += event.get("text", "")
    assert list(said.values()) == ["l1 l2 l3", "r1 r2 r3"]


async def test_an_approval_is_answered_on_the_socket_and_the_run_goes_on_there(talker: Talker):
    await talker.ask_first()
    talker.product.model.calls(("units__convert", KM), ("units__convert", KG))
    talker.product.model.reply("Done.")
    async with talker.socket() as socket:
        await socket.send(type="text", content="Convert these.")
        heard = await socket.until("done")
        first, second = asked_in(heard)
        await socket.send(type="approval", approval_id=first, decision="edit", args={"value": "x"})
        refused = await socket.next()
        await socket.send(type="approval", approval_id=first, decision="allow")
        taken = await socket.next()
        await socket.send(type="approval", approval_id=first, decision="allow")
        again = await socket.next()
        decisions = {second: {"decision": "refuse", "reason": "Not on a Friday."}}
        await socket.send(type="approval", decisions=decisions)
        rest = await socket.until("done")
    assert heard[-1]["metadata"]["status"] == "awaiting_approval"
    assert (refused["code"], again["code"]) == ("INVALID_ARGUMENTS", "APPROVAL_DECIDED")
    run_id = heard[0]["run_id"]
    assert taken == {"type": "answered", "run_id": run_id, "pending": [second]}
    assert rest[0] == {"type": "answered", "run_id": run_id, "pending": []}
    assert [each["id"] for each in [*heard, *rest[1:]]] == list(range(1, len(heard) + len(rest)))
    assert rest[-1]["metadata"]["status"] == "success"


async def test_who_comes_back_answers_at_once_and_gets_what_follows(talker: Talker):
    await talker.ask_first()
    talker.product.model.call("units__convert", KM)
    talker.product.model.reply("Done.")
    async with talker.socket() as socket:
        await socket.send(type="text", content="Convert this.")
        heard = await socket.until("done")
    [approval_id] = asked_in(heard)
    answer = {"approval_id": approval_id, "decision": "allow", "last_event_id": len(heard)}
    async with talker.socket("another") as socket:
        await socket.send(type="approval", **answer)
        rest = await socket.until("done")
    assert [each["type"] for each in rest[:3]] == ["answered", "resumed", "tool"]
    assert rest[2]["id"] == len(heard) + 1
    assert rest[-1]["metadata"]["status"] == "success"


async def test_an_admin_answers_on_a_socket_and_sees_no_more_of_the_run(talker: Talker):
    await talker.ask_first(approver="group_admin")
    talker.product.model.call("units__convert", KM)
    talker.product.model.reply("Done.")
    async with (
        talker.socket() as socket,
        open_socket(talker.product.url, key=key_of(talker.admin)) as admin,
    ):
        await socket.send(type="text", content="Convert this.")
        heard = await socket.until("done")
        [approval_id] = asked_in(heard)
        await socket.send(type="approval", approval_id=approval_id, decision="allow")
        refused = await socket.next()
        await admin.send(type="approval", approval_id=approval_id, decision="allow")
        answered = await admin.next()
        rest = await socket.until("done")
        await admin.send(type="stop")
        nothing = await admin.next()
    assert refused["code"] == "NOT_GROUP_ADMIN"
    assert (answered["type"], answered["pending"]) == ("answered", [])
    assert rest[0]["id"] == len(heard) + 1
    assert rest[-1]["metadata"]["status"] == "success"
    assert nothing["code"] == "RUN_NOT_FOUND"


async def test_a_run_that_is_not_followed_here_is_stopped_from_here(talker: Talker):
    pause = talker.product.model.hang(text="the whole answer", after=1)
    async with talker.socket() as socket, talker.socket("another") as other:
        await socket.send(type="text", content="go on", enable_tools=False)
        run_id = (await socket.next())["run_id"]
        await pause.reached.wait()
        await other.send(type="stop", run_id=run_id)
        assert await other.next() == {"type": "ended", "run_id": run_id, "status": "cancelled"}
        assert (await socket.until("done"))[-1]["metadata"]["status"] == "cancelled"


async def test_a_run_that_waits_for_a_person_is_stopped(talker: Talker):
    await talker.ask_first()
    talker.product.model.call("units__convert", KM)
    async with talker.socket() as socket:
        await socket.send(type="text", content="Convert this.")
        await socket.until("done")
        await socket.send(type="stop")
        done = (await socket.until("done"))[-1]
    assert done["metadata"]["status"] == "cancelled"


@pytest.mark.parametrize("choice", ["continue", "cancel"])
async def test_a_run_ends_with_its_socket_if_the_message_wished_so(talker: Talker, choice: str):
    pause = talker.product.model.hang(text="the whole answer", after=1)
    async with talker.socket() as socket:
        await socket.send(type="text", content="go on", on_disconnect=choice, enable_tools=False)
        run_id = (await socket.next())["run_id"]
        await pause.reached.wait()
    if choice == "cancel":
        await pause.left.wait()
    else:
        pause.release()
    async with talker.socket() as socket:
        await socket.send(type="resume", run_id=run_id)
        done = (await socket.until("done"))[-1]
    assert done["metadata"]["status"] == {"continue": "success", "cancel": "cancelled"}[choice]


async def test_a_run_that_waits_for_a_person_ends_with_its_socket_too(talker: Talker):
    await talker.ask_first()
    talker.product.model.call("units__convert", KM)
    async with talker.socket() as socket:
        await socket.send(type="text", content="Convert this.", on_disconnect="cancel")
        run_id = (await socket.until("done"))[0]["run_id"]
    async with talker.socket("another") as socket:
        await socket.send(type="resume", run_id=run_id)
        await socket.until("done")  # which asks
        done = (await socket.until("done"))[-1]
    assert done["metadata"]["status"] == "cancelled"


@pytest.mark.parametrize("code", [4401, 1011], ids=["locked out", "a fault of the server"])
async def test_a_run_ends_with_its_socket_however_that_ends(
    talker: Talker, code: int, monkeypatch: pytest.MonkeyPatch
):
    pause = talker.product.model.hang(text="the whole answer", after=1)
    client = talker.person.client
    [used] = (await client.get("/v1/api-keys")).json()["api_keys"]
    spare = (await client.post("/v1/api-keys", json={"name": "spare"})).json()["key"]
    async with client_for(talker.product.url, spare) as bob:
        async with talker.socket() as socket:
            message = {"content": "go on", "on_disconnect": "cancel", "enable_tools": False}
            await socket.send(type="text", **message)
            run_id = (await socket.next())["run_id"]
            await pause.reached.wait()
            if code == LOCKED_OUT:
                await bob.delete(f"/v1/api-keys/{used['id']}")
            else:
                authenticator = talker.product.resources.doors.authenticator
                monkeypatch.setattr(authenticator, "_clock", lambda: 1 / 0)
                await socket.send(type="resume", run_id=run_id)
            assert await socket.close_code() == code
        monkeypatch.undo()
        await pause.left.wait()
        events = await bob.get(f"/v1/runs/{run_id}/events")
        assert '"status":"cancelled"' in events.text.split("\n\n")[-2]


async def test_a_message_is_edited_and_an_answer_asked_for_once_more(talker: Talker):
    for answer in ("first", "second", "third"):
        talker.product.model.reply(answer)
    async with talker.socket() as socket:
        await socket.send(type="text", content="hello", enable_tools=False)
        await socket.until("done")
        asked = (await talker.person.client.get("/v1/chat/sessions/s")).json()["messages"][0]
        edit = {"content": "goodbye", "message_id": asked["id"]}
        await socket.send(type="text", **edit, enable_tools=False)
        await socket.until("done")
        asked = (await talker.person.client.get("/v1/chat/sessions/s")).json()["messages"][0]
        await socket.send(type="text", message_id=asked["id"], enable_tools=False)
        await socket.until("done")
    messages = (await talker.person.client.get("/v1/chat/sessions/s")).json()["messages"]
    assert [each["content"] for each in messages] == ["goodbye", "third"]


async def test_a_socket_follows_so_many_runs_and_no_more(talker: Talker):
    run_ids: list[str] = []
    pauses = []
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        for number in range(FOLLOWED_MAX + 1):
            pauses.append(talker.product.model.hang(text="the whole answer", after=1))
            other = await enter(talker.socket(f"s{number}"))
            await other.send(type="text", content="go on", enable_tools=False)
            run_ids.append((await other.next())["run_id"])
            await pauses[-1].reached.wait()
        socket = await enter(talker.socket())
        for run_id in [*run_ids[:-1], run_ids[0]]:  # the same one once more is no further one
            await socket.send(type="resume", run_id=run_id, last_event_id=0)
            await socket.until("run")
        await socket.send(type="resume", run_id=run_ids[-1], last_event_id=0)
        assert (await socket.until("error"))[-1]["code"] == "TOO_MANY_FOLLOWED"
        await socket.send(type="text", content="hello")
        assert (await socket.until("error"))[-1]["code"] == "TOO_MANY_FOLLOWED"
        for pause in pauses:
            pause.release()
        ended = [(await socket.until("done"))[-1] for _ in range(FOLLOWED_MAX)]
    assert {each["metadata"]["status"] for each in ended} == {"success"}


async def test_an_image_that_the_model_does_not_take_is_refused(talker: Talker):
    image = {"mime": "image/png", "data_b64": b64encode(make_png(2, 2)).decode()}
    async with talker.socket() as socket:
        await socket.send(type="text", content="look", images=[image])
        assert (await socket.next())["code"] == "IMAGES_UNSUPPORTED"


async def test_a_user_has_so_many_sockets_and_others_still_have_theirs(talker: Talker):
    opened: list[AbstractAsyncContextManager[Socket]] = []
    most = talker.product.settings.api.max_sockets_per_user
    for _ in range(most):
        opened.append(talker.socket())
        await opened[-1].__aenter__()
    with pytest.raises(InvalidStatus) as refused:
        async with talker.socket():
            pass
    assert refused.value.response.status_code == 429
    assert b"SOCKET_LIMIT_EXCEEDED" in (refused.value.response.body or b"")
    async with open_socket(talker.product.url, key=key_of(talker.admin)) as other:
        await other.send(type="stop")
        assert (await other.next())["code"] == "RUN_NOT_FOUND"
    while opened:
        await opened.pop().__aexit__(None, None, None)
    async with talker.socket() as again:
        await again.send(type="stop")
        assert (await again.next())["code"] == "RUN_NOT_FOUND"
