"""Chat over real HTTP, with a scripted model."""

import asyncio
from uuid import uuid4

import httpx
import pytest

from server.cli.events import read_events
from tests.fixtures.product import Product, client_for

STOPPED_SECONDS = 10


def names(events):
    return [event.event for event in events]


def text_of(events):
    return "".join(event.data["text"] for event in events if event.event == "token")


async def test_an_answer_is_streamed_as_run_token_and_done(product: Product):
    product.model.reply("Buongiorno, è bello qui.")

    events = await product.stream("Ciao", session_id="greeting")

    assert names(events)[0] == "run"
    assert events[0].data["session_id"] == "greeting"
    assert text_of(events) == "Buongiorno, è bello qui."
    assert events[-1].event == "done"
    assert events[-1].data["metadata"]["status"] == "success"
    assert events[-1].data["metadata"]["tokens_out"] > 0


async def test_event_ids_are_the_sequence_numbers_of_the_run(product: Product):
    product.model.reply("one two three")

    answer = await product.client.post("/v1/chat/stream", json={"text_input": "count"})

    ids = [int(line[4:]) for line in answer.text.splitlines() if line.startswith("id: ")]
    assert ids == list(range(1, len(ids) + 1))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"


async def test_the_whole_answer_comes_at_once_without_a_stream(product: Product):
    product.model.reply("Fine.")

    answer = await product.client.post("/v1/chat", json={"text_input": "How are you?"})

    body = answer.json()
    assert answer.status_code == 200
    assert body["content"] == "Fine."
    assert body["status"] == "success"
    assert body["metadata"]["model"] == "scripted"
    assert body["tool_events"] == []


async def test_a_question_about_the_time_is_answered_through_the_mcp_tool(product: Product):
    product.model.call("datetime__now", {"timezone": "Asia/Tokyo"})
    product.model.reply("It is late in Tokyo.")

    events = await product.stream("What time is it in Tokyo?")

    tools = [event.data for event in events if event.event == "tool"]
    assert [tool["status"] for tool in tools] == ["start", "end"]
    assert tools[0]["tool"] == "datetime.now"
    assert tools[0]["args"] == {"timezone": "Asia/Tokyo"}
    assert "Tokyo" in tools[1]["result_preview"]
    assert text_of(events) == "It is late in Tokyo."
    assert events[-1].data["metadata"]["tool_calls"] == 1


async def test_a_session_goes_on_with_what_was_said_before(product: Product):
    product.model.reply("Nice to meet you, Ada.")
    product.model.reply("Ada.")
    await product.stream("I am Ada.", session_id="s")

    await product.stream("Who am I?", session_id="s")

    said = [message["content"] for message in product.model.requests[-1].messages]
    assert "I am Ada." in said
    assert "Nice to meet you, Ada." in said
    history = (await product.client.get("/v1/chat/sessions/s")).json()
    assert [message["role"] for message in history["messages"]] == [
        "user", "assistant", "user", "assistant",
    ]  # fmt: skip
    assert history["title"] == "I am Ada."
    assert history["total"] == 4


@pytest.mark.parametrize(
    "text",
    ["perché? così!", "日本語の質問", "שלום עולם", "👩‍👩‍👧 family", "NUL \x00 inside", "a\u0301"],
)
async def test_every_character_survives_the_way_through(product: Product, text: str):
    product.model.reply(text)

    answer = await product.client.post("/v1/chat", json={"text_input": text, "session_id": "u"})

    assert answer.json()["content"] == text
    history = (await product.client.get("/v1/chat/sessions/u")).json()
    assert [message["content"] for message in history["messages"]] == [text, text]


async def test_a_second_message_while_one_is_answered_is_refused(product: Product):
    product.model.hang()
    url = "/v1/chat/stream"
    body = {"text_input": "first", "session_id": "busy"}
    async with product.client.stream("POST", url, json=body) as first:
        run_id = next(read_events([line async for line in take_lines(first, 4)])).data["run_id"]

        second = await product.client.post(url, json=body | {"text_input": "second"})

        assert second.status_code == 409
        assert second.json()["error"]["code"] == "RUN_IN_PROGRESS"
        await product.client.post(f"/v1/runs/{run_id}/cancel")


async def test_a_cancelled_run_ends_its_stream_and_keeps_what_was_said(product: Product):
    product.model.hang(text="Once upon a time", after=2)
    body = {"text_input": "a story", "session_id": "story"}
    async with (
        asyncio.timeout(STOPPED_SECONDS),
        product.client.stream("POST", "/v1/chat/stream", json=body) as answer,
    ):
        lines = answer.aiter_lines()
        seen = []
        async for line in lines:
            seen.append(line)
            if "upon" in line:
                break
        run_id = next(read_events(seen)).data["run_id"]
        state = await product.client.post(f"/v1/runs/{run_id}/cancel")
        rest = [line async for line in lines]

    assert state.json()["status"] == "cancelled"
    done = list(read_events(["event: x", "data: {}", "", *rest]))[-1]
    assert done.data["metadata"]["status"] == "cancelled"
    history = (await product.client.get("/v1/chat/sessions/story")).json()
    assert history["messages"][-1]["content"].strip() == "Once upon"
    assert history["messages"][-1]["status"] == "cancelled"


async def test_a_reader_that_leaves_can_take_its_run_with_it(product: Product):
    product.model.hang()
    body = {"text_input": "wait", "session_id": "left", "on_disconnect": "cancel"}
    async with product.client.stream("POST", "/v1/chat/stream", json=body) as answer:
        run_id = next(read_events([line async for line in take_lines(answer, 4)])).data["run_id"]

    async with asyncio.timeout(STOPPED_SECONDS):
        while await status_of(product, run_id) == "running":
            await asyncio.sleep(0)
    assert await status_of(product, run_id) == "cancelled"


async def test_a_reader_that_leaves_does_not_stop_the_run(product: Product):
    pause = product.model.hang(text="the end", after=1)
    body = {"text_input": "go on without me", "session_id": "alone"}
    async with product.client.stream("POST", "/v1/chat/stream", json=body) as answer:
        run_id = next(read_events([line async for line in take_lines(answer, 4)])).data["run_id"]

    pause.release()

    async with asyncio.timeout(STOPPED_SECONDS):
        while await status_of(product, run_id) == "running":
            await asyncio.sleep(0)
    history = (await product.client.get("/v1/chat/sessions/alone")).json()
    assert history["messages"][-1]["content"] == "the end"


async def test_sessions_are_listed_renamed_and_deleted(product: Product):
    for number in range(3):
        product.model.reply("ok")
        await product.stream(f"question {number}", session_id=f"s{number}")

    listed = (await product.client.get("/v1/chat/sessions", params={"limit": 2})).json()
    assert [session["session_id"] for session in listed["sessions"]] == ["s2", "s1"]
    assert (listed["total"], listed["limit"], listed["offset"]) == (3, 2, 0)

    renamed = await product.client.patch("/v1/chat/sessions/s1", json={"title": "Übersicht"})
    assert renamed.json()["title"] == "Übersicht"

    assert (await product.client.delete("/v1/chat/sessions/s1")).status_code == 204
    gone = await product.client.get("/v1/chat/sessions/s1")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "SESSION_NOT_FOUND")


async def test_a_deleted_session_is_forgotten_by_the_agent_too(product: Product):
    product.model.reply("ok")
    product.model.reply("ok")
    await product.stream("the secret word is xyzzy", session_id="forget")
    await product.client.delete("/v1/chat/sessions/forget")

    await product.stream("what was the word?", session_id="forget")

    said = str(product.model.requests[-1].messages)
    assert "xyzzy" not in said


async def test_another_user_finds_nothing_of_a_session_or_a_run(product: Product):
    product.model.reply("mine")
    events = await product.stream("private", session_id="mine")
    run_id = events[0].data["run_id"]
    async with await product.new_user("other") as other:
        for method, path in [
            ("GET", "/v1/chat/sessions/mine"),
            ("DELETE", "/v1/chat/sessions/mine"),
            ("GET", f"/v1/runs/{run_id}"),
            ("POST", f"/v1/runs/{run_id}/cancel"),
        ]:
            answer = await other.request(method, path)
            missing = await other.request(
                method, path.replace("mine", "none").replace(run_id, str(uuid4()))
            )
            assert answer.status_code == 404, path
            assert answer.json() == missing.json(), path
        assert (await other.get("/v1/chat/sessions")).json()["total"] == 0


async def test_two_users_can_use_the_same_session_name_without_meeting(product: Product):
    product.model.reply("for root")
    product.model.reply("for other")
    await product.stream("root speaks", session_id="same")
    async with await product.new_user("other") as other:
        answer = await other.post("/v1/chat", json={"text_input": "hi", "session_id": "same"})

    assert answer.status_code == 200
    assert "root speaks" not in str(product.model.requests[-1].messages)
    history = (await product.client.get("/v1/chat/sessions/same")).json()
    assert history["total"] == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"text_input": ""}, "body.text_input"),
        ({"text_input": "   \n"}, "body.text_input"),
        ({"text_input": "x" * 100_001}, "body.text_input"),
        ({"text_input": 7}, "body.text_input"),
        ({"text_input": "x", "session_id": "../etc"}, "body.session_id"),
        ({"text_input": "x", "audio_b64": "AAAA"}, "body"),
        ({"text_input": "x", "on_disconnect": "explode"}, "body.on_disconnect"),
    ],
)
async def test_a_malformed_request_says_which_field_is_wrong(product: Product, body, field):
    answer = await product.client.post("/v1/chat/stream", json=body)

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert field in [fault["field"] for fault in error["details"]["errors"]]
    assert (await product.client.get("/v1/chat/sessions")).json()["total"] == 0


async def test_a_body_that_is_no_json_is_refused(product: Product):
    headers = {"Content-Type": "application/json"}
    for content in (b"", b"{", b"\xff\xfe", b'{"text_input": "\\ud800"}'):
        answer = await product.client.post("/v1/chat", content=content, headers=headers)
        assert answer.status_code == 400, content
        assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


async def test_an_oversized_body_is_refused_before_it_is_read(product: Product):
    huge = b'{"query": "' + b"x" * (2 * 1024 * 1024) + b'"}'
    answer = await product.client.post("/v1/search", content=huge)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "UPLOAD_TOO_LARGE")


async def test_an_oversized_body_without_a_declared_length_is_refused(product: Product):
    async def chunks():
        for _ in range(40):
            yield b"x" * 65536

    answer = await product.client.post("/v1/search", content=chunks())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "UPLOAD_TOO_LARGE")


async def test_an_unknown_model_is_refused_by_name_of_what_there_is(product: Product):
    answer = await product.client.post("/v1/chat", json={"text_input": "x", "model": "gpt-9"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "UNKNOWN_MODEL"
    assert answer.json()["error"]["details"] == {"available": ["scripted"]}
    assert (await product.client.get("/v1/chat/sessions")).json()["total"] == 0


@pytest.mark.parametrize("key", [None, "", "yw_wrong", "é", "x" * 5000])
async def test_a_wrong_key_opens_nothing(product: Product, key):
    headers = {"X-API-Key": key.encode()} if key else {}
    async with httpx.AsyncClient(base_url=product.url) as stranger:
        answer = await stranger.post("/v1/chat", json={"text_input": "x"}, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == ("INVALID_API_KEY" if key else "NOT_AUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_model_server_that_is_down_ends_the_run_with_a_coded_error(product: Product):
    await product.model.stop()

    events = await product.stream("anyone there?", session_id="down")
    whole = await product.client.post("/v1/chat", json={"text_input": "x", "session_id": "down"})

    assert names(events)[-2:] == ["error", "done"]
    assert events[-2].data["code"] == "LLM_ERROR"
    assert events[-1].data["metadata"]["status"] == "error"
    assert (whole.status_code, whole.json()["error"]["code"]) == (502, "LLM_ERROR")


async def test_a_session_goes_on_after_the_model_server_came_back(product: Product):
    await product.model.stop()
    await product.stream("first", session_id="back")
    await product.model.start()
    product.model.reply("here again")

    events = await product.stream("second", session_id="back")

    assert text_of(events) == "here again"


async def test_an_error_in_the_middle_of_an_answer_keeps_what_was_said(product: Product):
    product.model.fail("out of memory", after=2)

    events = await product.stream("go", session_id="half")

    assert text_of(events).strip() == "word1 word2"
    assert events[-2].data["code"] == "LLM_ERROR"
    assert "out of memory" not in str(events[-2].data)
    history = (await product.client.get("/v1/chat/sessions/half")).json()
    assert history["messages"][-1]["content"].strip() == "word1 word2"
    assert history["messages"][-1]["status"] == "error"


async def test_many_streams_share_a_pool_of_one_connection(product: Product):
    product.model.hang()
    product.model.hang()
    # Both hang inside the model; were a connection held meanwhile, the third request would starve.
    streams = [
        asyncio.create_task(product.stream("wait", session_id=f"w{number}")) for number in range(2)
    ]
    async with asyncio.timeout(STOPPED_SECONDS):
        while len(product.model.requests) < 2:
            await asyncio.sleep(0)
        assert (await product.client.get("/v1/chat/sessions")).json()["total"] == 2
    for run_id in product.resources.executor.live_ids():
        await product.client.post(f"/v1/runs/{run_id}/cancel")
    for events in await asyncio.gather(*streams):
        assert events[-1].data["metadata"]["status"] == "cancelled"


async def test_a_correlation_id_is_kept_when_it_is_sane_and_made_otherwise(product: Product):
    sane = await product.client.get("/health", headers={"X-Correlation-ID": "abc-123-def"})
    odd = await product.client.get("/health", headers={"X-Correlation-ID": "a b;c"})
    assert sane.headers["x-correlation-id"] == "abc-123-def"
    assert len(odd.headers["x-correlation-id"]) == 32


async def test_an_address_that_does_not_exist_answers_in_the_one_form(product: Product):
    missing = await product.client.get("/v1/nothing")
    wrong_method = await product.client.put("/v1/chat")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "RESOURCE_NOT_FOUND")
    assert wrong_method.status_code == 405
    assert wrong_method.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


async def status_of(product: Product, run_id: str) -> str:
    async with client_for(product.url, product.secrets.root_api_key) as client:
        return (await client.get(f"/v1/runs/{run_id}")).json()["status"]


async def take_lines(answer: httpx.Response, count: int):
    async for line in answer.aiter_lines():
        yield line
        count -= 1
        if not count:
            return
