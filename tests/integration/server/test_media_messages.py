"""Messages with recordings and images: what of them reaches the model, and what is refused."""

import asyncio
import base64

import asyncpg
import orjson
import pytest

from loaders.speech.transcriber import Transcriber
from server.chat.message_memory import MessageMemory
from server.chat.socket import LOCKED_OUT
from server.chat.socket_questions import WAITING_MAX
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.images import make_gif, make_jpeg, make_png, make_webp
from tests.fixtures.product import Product, client_for
from tests.fixtures.sockets import Socket, open_socket
from tests.fixtures.speech import (
    ILL_DISPOSED,
    encode,
    read_recording,
    read_samples,
    word_error_rate,
)
from tests.integration.server.people import Person, open_person, told

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("speech"),
]


@pytest.fixture(autouse=True)
def seeing_model(shared_product: Product) -> ScriptedOllama:
    shared_product.model.capabilities = ["completion", "tools", "vision"]
    shared_product.model.requests.clear()
    return shared_product.model


LONG = read_samples("leisure") * 12
"""Takes far longer to transcribe than anything that a test does meanwhile."""
ENDS_SECONDS = 30


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def key_of(person: Person) -> str:
    return person.client.headers["Authorization"].removeprefix("Bearer ")


def image(data: bytes, mime: str = "image/png") -> dict[str, str]:
    return {"mime": mime, "data_b64": b64(data)}


async def refusal(product: Product, **body: object) -> tuple[int, str, dict[str, object]]:
    answer = await product.client.post("/v1/chat", json=body)
    error = answer.json()["error"]
    return answer.status_code, error["code"], error


async def test_an_image_reaches_the_model_and_stays_with_the_message(shared_product, seeing_model):
    picture = make_png(3, 2)
    answer = await shared_product.client.post(
        "/v1/chat",
        json={"text_input": "What is this?", "images": [image(picture)], "session_id": "seen"},
    )
    assert answer.status_code == 200, answer.text
    assert seeing_model.requests[0].messages[-1]["images"] == [b64(picture)]
    session = (await shared_product.client.get("/v1/chat/sessions/seen")).json()
    asked = session["messages"][0]
    assert asked["images"] == [{"mime": "image/png", "width": 3, "height": 2}]
    shown = await shared_product.client.get(
        f"/v1/chat/sessions/seen/messages/{asked['id']}/images/1"
    )
    assert (shown.content, shown.headers["content-type"]) == (picture, "image/png")
    await shared_product.client.post(
        "/v1/chat", json={"text_input": "And what else?", "session_id": "seen"}
    )
    earlier = seeing_model.requests[-1].messages
    assert [message.get("images") for message in earlier if message.get("images")]


async def test_images_without_words_are_a_message(shared_product, seeing_model):
    images = [
        image(make_jpeg(8, 8), "image/jpeg"),
        image(make_gif(8, 8), "image/gif"),
        image(make_webp(8, 8), "image/webp"),
    ]
    answer = await shared_product.client.post("/v1/chat/stream", json={"images": images})
    assert answer.status_code == 200
    assert len(seeing_model.requests[0].messages[-1]["images"]) == 3


@pytest.mark.parametrize(
    ("picture", "mime", "code"),
    [
        (make_png(2, 2), "image/jpeg", "UNSUPPORTED_MEDIA"),
        (make_png(2, 2)[:30], "image/png", "UNSUPPORTED_MEDIA"),
        (b"PK\x03\x04" + bytes(500), "image/png", "UNSUPPORTED_MEDIA"),
        (make_png(60_000, 60_000), "image/png", "IMAGE_TOO_LARGE"),
        (make_png(2, 2, padding=5 * 1024 * 1024), "image/png", "IMAGE_TOO_LARGE"),
    ],
)
async def test_an_image_that_cannot_be_taken_is_refused(shared_product, picture, mime, code):
    status, found, _ = await refusal(shared_product, images=[image(picture, mime)])
    assert (status, found) == (400, code)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text_input": None},
        {"text_input": "", "images": []},
        {"audio_b64": "AAAA"},
        {"audio_format": "wav"},
        {"audio_b64": "AAAA", "audio_format": "flac"},
        {"audio_b64": "AAAA", "audio_format": "wav", "audio_rate": 16000},
        {"audio_b64": "AAAA", "audio_format": "pcm16", "audio_rate": 1},
        {"images": [{"mime": "image/tiff", "data_b64": "AAAA"}]},
        {"images": [{"mime": "image/png"}]},
        {"images": [image(make_png(2, 2))] * 5},
    ],
)
async def test_a_body_that_makes_no_message_is_refused(shared_product, body):
    status, code, _ = await refusal(shared_product, **body)
    assert (status, code) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("data", ["not base64!", "AAA", "A=AA", "AAAA\n", "ÄÄÄÄ"])
async def test_malformed_base64_is_no_medium(shared_product, data):
    _, code, _ = await refusal(shared_product, audio_b64=data, audio_format="wav")
    assert code == "UNSUPPORTED_MEDIA"
    _, code, _ = await refusal(shared_product, images=[{"mime": "image/png", "data_b64": data}])
    assert code == "UNSUPPORTED_MEDIA"


async def test_a_recording_becomes_the_message(shared_product, seeing_model):
    answer = await shared_product.client.post(
        "/v1/chat",
        json={
            "text_input": "Who is meant?",
            "audio_b64": b64(encode(read_recording("ill_disposed"), "webm")),
            "audio_format": "webm",
            "session_id": "heard",
        },
    )
    assert answer.status_code == 200, answer.text
    typed, _, said = seeing_model.requests[0].messages[-1]["content"].partition("\n\n")
    assert typed == "Who is meant?"
    assert word_error_rate(said, ILL_DISPOSED) == 0
    session = (await shared_product.client.get("/v1/chat/sessions/heard")).json()
    asked = session["messages"][0]
    assert asked["content"] == f"{typed}\n\n{said}"
    assert asked["audio"] == {
        "format": "webm",
        "seconds": pytest.approx(3.0, abs=0.15),
        "language": "en",
    }


@pytest.mark.parametrize(
    ("data", "audio_format", "code"),
    [
        (b"", "wav", "AUDIO_EMPTY"),
        (bytes(64_000), "pcm16", "AUDIO_EMPTY"),
        (read_recording("ill_disposed"), "mp3", "UNSUPPORTED_MEDIA"),
        (b"PK\x03\x04" + bytes(500), "wav", "UNSUPPORTED_MEDIA"),
        (bytes(301 * 32_000), "pcm16", "AUDIO_TOO_LONG"),
    ],
)
async def test_a_recording_that_holds_no_message_leaves_no_session(
    shared_product, data, audio_format, code
):
    status, found, _ = await refusal(
        shared_product, audio_b64=b64(data), audio_format=audio_format, session_id="unsaid"
    )
    assert (status, found) == (400, code)
    assert (await shared_product.client.get("/v1/chat/sessions/unsaid")).status_code == 404


async def test_a_recording_is_taken_over_a_websocket(shared_product, seeing_model):
    key = shared_product.secrets.root_api_key
    async with open_socket(shared_product.url, "spoken", key=key) as socket:
        await socket.send(type="audio", content=b64(read_samples("ill_disposed")), format="pcm16")
        await socket.until("done")
        await socket.send(type="audio", content=b64(bytes(64_000)), format="pcm16", rate=8_000)
        assert (await socket.until("error"))[-1]["code"] == "AUDIO_EMPTY"
        await socket.send(type="text", content="Look", images=[image(make_png(2, 2))])
        await socket.until("done")
    assert word_error_rate(seeing_model.requests[0].messages[-1]["content"], ILL_DISPOSED) == 0
    assert seeing_model.requests[-1].messages[-1]["images"]


def transcriber_of(product: Product) -> Transcriber:
    return product.resources.chat._media._transcriber


async def begin_reading(product: Product, socket: Socket, **message: object) -> None:
    """Sends a long recording; returns when it is being transcribed."""
    await socket.send(type="audio", content=b64(LONG), format="pcm16", **message)
    await until_reading(product, is_reading=True)


async def until_reading(product: Product, *, is_reading: bool) -> None:
    async with asyncio.timeout(ENDS_SECONDS):
        while transcriber_of(product)._turn.locked() is not is_reading:
            await asyncio.sleep(0)


async def test_messages_after_a_recording_are_asked_after_it(shared_product, seeing_model):
    pause = seeing_model.hang(text="heard it all", after=1)
    key = shared_product.secrets.root_api_key
    async with open_socket(shared_product.url, "ordered", key=key) as socket:
        await socket.send(type="audio", content=b64(read_samples("ill_disposed")), format="pcm16")
        await socket.send(type="text", content="Then this.", multitask="enqueue")
        await socket.send(type="text", content="And this?")
        first = await socket.until("queued")
        first += await socket.until("error")
        pause.release()
        first += await socket.until("done")
        second = await socket.until("done")
    assert [each["code"] for each in first if each["type"] == "error"] == ["RUN_IN_PROGRESS"]
    assert (second[0]["type"], second[-1]["metadata"]["status"]) == ("run", "success")
    session = (await shared_product.client.get("/v1/chat/sessions/ordered")).json()
    recording, _, text, _ = session["messages"]
    assert word_error_rate(recording["content"], ILL_DISPOSED) == 0
    assert (text["audio"], text["content"]) == (None, "Then this.")


@pytest.mark.parametrize("choice", ["continue", "cancel"])
async def test_a_recording_whose_sender_leaves_is_answered_unless_the_sender_wished_otherwise(
    shared_product, seeing_model, choice
):
    key, session_id = shared_product.secrets.root_api_key, f"left-{choice}"
    said = LONG if choice == "cancel" else read_samples("ill_disposed")
    async with open_socket(shared_product.url, session_id, key=key) as socket:
        message = {"content": b64(said), "format": "pcm16", "on_disconnect": choice}
        await socket.send(type="audio", **message)
        await until_reading(shared_product, is_reading=True)
    await until_reading(shared_product, is_reading=False)
    if choice == "continue":
        async with asyncio.timeout(ENDS_SECONDS):
            while not seeing_model.requests:
                await asyncio.sleep(0)
    found = await shared_product.client.get(f"/v1/chat/sessions/{session_id}")
    assert found.status_code == {"continue": 200, "cancel": 404}[choice]


async def test_a_recording_is_stopped_while_it_is_read_and_becomes_no_message(
    shared_product, seeing_model
):
    key = shared_product.secrets.root_api_key
    async with open_socket(shared_product.url, "unheard", key=key) as socket:
        await begin_reading(shared_product, socket)
        await socket.send(type="stop")
        assert await socket.next() == {"type": "stopped", "session_id": "unheard"}
        assert not transcriber_of(shared_product)._turn.locked()
        await socket.send(type="stop")
        assert (await socket.next())["code"] == "RUN_NOT_FOUND"
        await socket.send(type="text", content="Hello")
        await socket.until("done")
    session = (await shared_product.client.get("/v1/chat/sessions/unheard")).json()
    assert session["messages"][0]["content"] == "Hello"
    assert len(seeing_model.requests) == 1


async def test_runs_are_followed_and_approvals_answered_while_a_recording_is_read(shared_product):
    rule = {"tool": "units.*", "verdict": "ask"}
    made = await shared_product.client.post("/v1/tool-policies", json=rule)
    args = {"value": 5, "from_unit": "km", "to_unit": "mile"}
    shared_product.model.call("units__convert", args)
    asked = (await shared_product.client.post("/v1/chat", json={"text_input": "How far?"})).json()
    key = shared_product.secrets.root_api_key
    async with open_socket(shared_product.url, "busy", key=key) as socket:
        await begin_reading(shared_product, socket)
        await socket.send(type="resume", run_id=asked["run_id"])
        heard = await socket.until("done")
        [approval] = asked["approvals"]
        answer = {"approval_id": approval["approval_id"], "decision": "allow"}
        await socket.send(type="approval", **answer)
        rest = await socket.until("done")
        await socket.send(type="stop")
        [stopped] = await socket.until("stopped")
    assert (heard[0]["type"], heard[-1]["metadata"]["status"]) == ("resumed", "awaiting_approval")
    assert (rest[0]["type"], rest[-1]["metadata"]["status"]) == ("answered", "success")
    assert stopped["session_id"] == "busy"
    await shared_product.client.delete(f"/v1/tool-policies/{made.json()['id']}")


async def test_so_many_messages_wait_behind_a_recording_and_are_stopped_for(shared_product):
    key = shared_product.secrets.root_api_key
    async with open_socket(shared_product.url, "crowded", key=key) as socket:
        await begin_reading(shared_product, socket)
        for number in range(WAITING_MAX + 1):
            await socket.send(type="text", content=f"{number}", on_disconnect="cancel")
        refused = await socket.next()
        await socket.send(type="stop")
        stopped = await socket.next()
    assert (refused["code"], stopped["type"]) == ("SERVICE_UNAVAILABLE", "stopped")


NOWHERE = "01890000-0000-7000-8000-000000000000"
VAST = "\N{ZEBRA FACE}" + "A" * (5 * 1024 * 1024)
"""Of which each character takes four bytes, and that is no recording."""


async def heard_of(socket: Socket, **message: object) -> str:
    """Sends a message; the code of what is said to it, or what comes when it was taken."""
    await socket.send(**message)
    await socket.send(type="stop", run_id=NOWHERE)
    code: str = (await socket.next())["code"]
    if code != "RUN_NOT_FOUND":
        assert (await socket.next())["code"] == "RUN_NOT_FOUND"
    return code


async def test_messages_that_wait_take_so_much_memory_of_a_user_over_all_sockets(shared_product):
    speech = {"type": "audio", "content": b64(bytes(32_000)), "format": "pcm16"}
    vast = {**speech, "content": VAST, "on_disconnect": "cancel"}
    typed = {"type": "text", "content": "hello", "on_disconnect": "cancel"}
    taken, url = "RUN_NOT_FOUND", shared_product.url
    memory = shared_product.app.state.services[MessageMemory]
    async with (
        open_person(shared_product, "ada") as ada,
        open_socket(url, "one", key=shared_product.secrets.root_api_key) as one,
        open_socket(url, "two", key=shared_product.secrets.root_api_key) as two,
        open_socket(url, key=key_of(ada)) as other,
        transcriber_of(shared_product)._turn,
    ):
        for socket in (one, two, other):
            assert await heard_of(socket, **speech, on_disconnect="cancel") == taken
        assert [await heard_of(one, **vast) for _ in range(3)] == [taken] * 3
        assert await heard_of(two, **vast) == "RATE_LIMIT_EXCEEDED"
        assert await heard_of(two, **typed) == taken
        assert await heard_of(other, **vast) == taken
        await one.send(type="stop")
        said = [await one.next() for _ in range(4)]
        assert [each.get("code") for each in said] == [None, *["UNSUPPORTED_MEDIA"] * 3]
        assert await heard_of(two, **vast) == taken
        for socket in (two, other):
            await socket.connection.close()
        async with asyncio.timeout(ENDS_SECONDS):
            while memory._of_users:
                await asyncio.sleep(0)


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/chat/stream"])
async def test_no_run_begins_under_a_key_that_is_revoked_while_its_recording_is_read(
    shared_product, path
):
    body = {"audio_b64": b64(read_samples("ill_disposed")), "audio_format": "pcm16"}
    async with open_person(shared_product, "ada") as ada:
        spare = (await ada.client.post("/v1/api-keys", json={"name": "spare"})).json()
        async with client_for(shared_product.url, spare["key"]) as asking:
            async with transcriber_of(shared_product)._turn:
                answering = asyncio.create_task(asking.post(path, json=body))
                async with asyncio.timeout(ENDS_SECONDS):
                    while not transcriber_of(shared_product)._held:
                        await asyncio.sleep(0)
                revoked = await ada.client.delete(f"/v1/api-keys/{spare['id']}")
                assert revoked.status_code == 204
            answer = await answering
        assert told(answer) == (401, "INVALID_API_KEY")
        assert (await ada.client.get("/v1/chat/sessions")).json()["total"] == 0


async def test_a_socket_is_closed_whose_key_expires_while_a_recording_is_read(shared_product):
    expiring = "UPDATE api_keys SET expires_at = now() - interval '1 hour' WHERE user_id = $1"
    speech = {"type": "audio", "content": b64(read_samples("ill_disposed")), "format": "pcm16"}
    database = await asyncpg.connect(shared_product.settings.database.url.get_secret_value())
    async with (
        open_person(shared_product, "ada") as ada,
        open_socket(shared_product.url, "late", key=key_of(ada)) as socket,
    ):
        async with transcriber_of(shared_product)._turn:
            assert await heard_of(socket, **speech) == "RUN_NOT_FOUND"  # it was taken
            await database.execute(expiring, ada.id)
        assert await socket.close_code() == LOCKED_OUT
    assert not await database.fetchval("SELECT count(*) FROM runs WHERE user_id = $1", ada.id)
    await database.close()


async def test_somebody_elses_image_is_not_there(shared_product):
    await shared_product.client.post(
        "/v1/chat", json={"images": [image(make_png(2, 2))], "session_id": "mine"}
    )
    session = (await shared_product.client.get("/v1/chat/sessions/mine")).json()
    path = f"/v1/chat/sessions/mine/messages/{session['messages'][0]['id']}/images"
    assert (await shared_product.client.get(f"{path}/1")).status_code == 200
    assert (await shared_product.client.get(f"{path}/2")).status_code == 404
    async with await shared_product.new_user("onlooker") as onlooker:
        assert (await onlooker.get(f"{path}/1")).status_code == 404


async def test_a_message_may_be_larger_than_other_bodies_but_not_endless(shared_product):
    api = shared_product.settings.api
    filler = " " * (api.max_body_bytes + 1)
    large = orjson.dumps({"text_input": "Hello"})[:-1] + filler.encode() + b"}"
    json_type = {"Content-Type": "application/json"}
    answer = await shared_product.client.post("/v1/chat", content=large, headers=json_type)
    assert answer.status_code == 200
    endless = large + b" " * api.max_message_bytes
    answer = await shared_product.client.post("/v1/chat/stream", content=endless, headers=json_type)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "UPLOAD_TOO_LARGE")
