"""Messages with recordings and images: what of them reaches the model, and what is refused."""

import base64

import orjson
import pytest

from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.images import make_gif, make_jpeg, make_png, make_webp
from tests.fixtures.product import Product
from tests.fixtures.sockets import open_socket
from tests.fixtures.speech import (
    ILL_DISPOSED,
    encode,
    read_recording,
    read_samples,
    word_error_rate,
)

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("speech"),
]


@pytest.fixture(autouse=True)
def seeing_model(shared_product: Product) -> ScriptedOllama:
    shared_product.model.capabilities = ["completion", "tools", "vision"]
    shared_product.model.requests.clear()
    return shared_product.model


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


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
