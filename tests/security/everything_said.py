"""One life of the product in which a canary goes wherever a text of a user's can go."""

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from server.cli.events import ServerSentEvent, read_events
from tests.fakes.ollama_server import ScriptedOllama, Turn
from tests.fixtures.images import make_png
from tests.fixtures.product import client_for
from tests.fixtures.sockets import open_socket
from tests.fixtures.speech import encode, read_recording, read_samples
from tests.security.canary import Canary

SERVER = "indiscreet"
WAIT_SECONDS = 30
CHAT, STREAM, SESSIONS = "/v1/chat", "/v1/chat/stream", "/v1/chat/sessions"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Talk:
    """Somebody who says the canary through every door; each method is about one of them."""

    url: str
    key: str
    root: httpx.AsyncClient
    client: httpx.AsyncClient
    model: ScriptedOllama
    canary: Canary

    async def chat(self) -> None:
        """Text, reasoning, a title by the model and one by the user, a history with a summary."""
        says, session = self.canary.says("chat"), self.canary.slug("chat")
        title = self.canary.says("made title")
        self.model.reply(says, thinking=says, when=says)
        self.model.reply(title, when=f"User: {says}")
        await self.ask(says, session_id=session)
        await self.until_titled(session, title)
        for place in ("long 1", "long 2", "long 3"):
            await self.ask(f"{self.canary.says(place)} " * 40, session_id=session)
        await self.tell("PATCH", f"{SESSIONS}/{session}", json={"title": self.canary.says("title")})
        whole = await self.tell("POST", CHAT, json={"text_input": self.canary.says("whole")})
        assert self.canary.accented in whole.json()["content"]

    async def tools(self) -> None:
        """Arguments and results of calls that succeed, fail, are malformed or end their server."""
        says = self.canary.says("tools")
        calls = [
            (f"{SERVER}__{name}", {"text": self.canary.says(name)})
            for name in ("note", "blurt", "refuse", "garble", "die")
        ]
        calls += [
            (self.canary.slug("tool"), {self.canary.slug("key"): says}),
            (f"{SERVER}__note", says),
            ("datetime__now", {"timezone": says}),
            ("semantic__search", {"query": says}),
        ]
        for call in calls:
            self.model.calls(call, text=self.canary.says("before a call"), when=says)
        events = await self.ask(says, session_id=self.canary.slug("tools"))
        told = [each.data for each in events if each.event == "tool"]
        failed = [each["tool"] for each in told if each["status"] == "error"]
        assert {"indiscreet.blurt", "indiscreet.die", "unknown"} <= set(failed), told
        await self.until_healthy()

    async def approvals(self) -> None:
        """Patterns and reasons of rules; arguments that are asked about, changed and refused."""
        pattern = self.canary.says("pattern")
        about = {"tool": f"{SERVER}.note", "arguments": {"text": f"{pattern}*"}, "verdict": "ask"}
        rules = [
            about | {"reason": self.canary.says("rule")},
            {"tool": f"*{self.canary.plain}*", "verdict": "deny"},
            {"tool": self.canary.says("not a rule"), "verdict": self.canary.says("verdict")},
        ]
        for rule, status in zip(rules, (201, 201, 400), strict=True):
            await self.tell("POST", "/v1/tool-policies", status, of=self.root, json=rule)
        limit = {"tool": f"*{self.canary.plain}*", "max_calls_per_run": 1}
        for values, status in ((limit, 201), (limit | {"max_seconds": "soon"}, 400)):
            await self.tell("POST", "/v1/tool-limits", status, of=self.root, json=values)
        asked = await self.ask_for_notes("asked", pattern, 3)
        run_id, resume = asked[0].data["run_id"], f"/v1/runs/{asked[0].data['run_id']}/resume"
        ids = [each.data["approval_id"] for each in asked if each.event == "approval"]
        says = self.canary.says("reason")
        wrong = {"decision": "edit", "args": {self.canary.slug("argument"): says}, "reason": says}
        await self.tell("POST", resume, 400, json={"decisions": {ids[0]: wrong}})
        await self.tell("POST", resume, 400, json={"decisions": {says: says}})
        edit = {"decision": "edit", "args": {"text": self.canary.says("edited")}, "reason": says}
        refuse = {"decision": "refuse", "reason": says}
        decisions = dict(zip(ids, (edit, refuse, {"decision": "allow"}), strict=True))
        await self.tell("POST", resume, 202, json={"decisions": decisions})
        answer = await self.tell("GET", f"/v1/runs/{run_id}/events")
        assert ending(read(answer)) == "success"
        await self.ask_for_notes("left unanswered", pattern, 1)

    async def media(self) -> None:
        """Recordings and images, those that are refused as well."""
        says = self.canary.says("picture")
        picture = make_png(2, 2).replace(b"IEND", b"IEND" + says.encode())
        image = {"mime": "image/png", "data_b64": b64(picture)}
        spoken = {"audio_b64": b64(read_recording("ill_disposed")), "audio_format": "wav"}
        await self.ask(says, images=[image], session_id=self.canary.slug("media"))
        shown = (await self.tell("GET", f"{SESSIONS}/{self.canary.slug('media')}")).json()
        fork = {"message_id": shown["messages"][0]["id"]}
        await self.tell("POST", f"{SESSIONS}/{self.canary.slug('media')}/fork", 201, json=fork)
        await self.ask(says, **spoken, session_id=self.canary.slug("media"))
        refused: list[dict[str, Any]] = [
            {"images": [image | {"mime": "image/jpeg"}]},
            {"images": [image | {"mime": says}]},
            {"images": [image | {"data_b64": says}]},
            {"audio_b64": b64(says.encode()), "audio_format": "webm"},
            {"audio_b64": b64(encode(read_recording("ill_disposed"), "mp3")), "audio_format": says},
            {"audio_b64": says, "audio_format": "wav"},
        ]
        for body in refused:
            await self.tell("POST", CHAT, 400, json={"text_input": says, **body})

    async def edits(self) -> None:
        """Messages that are superseded, answers that are given anew, and a fork."""
        session = self.canary.slug("edits")
        await self.ask(self.canary.says("superseded"), session_id=session)
        [asked, _] = (await self.tell("GET", f"{SESSIONS}/{session}")).json()["messages"]
        await self.ask(self.canary.says("edit"), session_id=session, message_id=asked["id"])
        [asked, answer] = (await self.tell("GET", f"{SESSIONS}/{session}")).json()["messages"]
        await self.ask(None, session_id=session, message_id=asked["id"])
        whole = await self.tell("GET", f"{SESSIONS}/{session}?include_superseded=true")
        assert whole.json()["total"] > 2
        [_, answer] = (await self.tell("GET", f"{SESSIONS}/{session}")).json()["messages"]
        fork = {"message_id": answer["id"], "session_id": self.canary.slug("fork")}
        await self.tell("POST", f"{SESSIONS}/{session}/fork", 201, json=fork)
        await self.ask(self.canary.says("in the fork"), session_id=fork["session_id"])
        gone = self.canary.slug("deleted")
        await self.ask(self.canary.says("deleted"), session_id=gone)
        await self.tell("DELETE", f"{SESSIONS}/{gone}", 204)

    async def waiting(self) -> None:
        """Messages that wait for their turn, one of them in vain, and a run that is cancelled."""
        session, first = self.canary.slug("queue"), self.canary.says("cancelled")
        pause = self.model.hang(text=f"{first} " * 9, after=3, when=first)
        async with open_socket(self.url, session, key=self.key) as socket:
            await socket.send(type="text", content=first)
            [*_, begun] = await socket.until("run")
            await pause.reached.wait()
            refused = {"text_input": self.canary.says("too early"), "session_id": session}
            await self.tell("POST", STREAM, 409, json=refused)
            queued = []
            for place in ("queued", "queued in vain"):
                says = self.canary.says(place)
                await socket.send(type="text", content=says, multitask="enqueue")
                [*_, told] = await socket.until("queued")
                queued.append(told["run_id"])
            for run_id in (queued[1], begun["run_id"]):
                await self.tell("POST", f"/v1/runs/{run_id}/cancel")
            ends = [(await socket.until("done"))[-1]["metadata"]["status"] for _ in range(3)]
        assert sorted(ends) == ["cancelled", "cancelled", "success"]

    async def failing_models(self) -> None:
        """Errors of a model that quote what it was told, before and in the middle of an answer."""
        ends: tuple[dict[str, Any], ...] = (
            {"status": 400},
            {"text": "Some words", "ending": "error"},
        )
        for number, end in enumerate(ends):
            says = self.canary.says(f"failure {number}")
            self.model.add(Turn(error=says, when=says, **end))
            await self.ask(says, expected="error", session_id=self.canary.slug("failures"))
        await self.model.stop()
        says = self.canary.says("nobody there")
        await self.ask(says, expected="error", session_id=self.canary.slug("failures"))
        await self.model.start()
        says = self.canary.says("model")
        for model in (says, f"openai:{says}", self.canary.slug("model")):
            await self.tell("POST", CHAT, 400, json={"text_input": says, "model": model})

    async def documents(self) -> None:
        """Names, tags and contents of files that are read, that cannot be read, that are gone."""
        says = self.canary.says("document")
        for name, data in {
            "read.txt": says.encode(),
            "gone.md": f"# {says} once more".encode(),
            "broken.pdf": b"%PDF-1.7\n" + says.encode() * 20,
            "broken.docx": b"PK\x03\x04" + says.encode() * 20,
            "odd.xyz": b"\0\1" + says.encode(),
        }.items():
            files = {"files": (self.canary.says(name), data)}
            tags = json.dumps([self.canary.says("tag")])
            taken = await self.tell("POST", "/v1/ingest/upload", files=files, data={"tags": tags})
            if name == "gone.md":
                document = f"/v1/documents/{taken.json()['files'][0]['document_id']}"
        for tags in (f"[{says}", json.dumps({says: says})):
            files = {"files": (says, says.encode())}
            await self.tell("POST", "/v1/ingest/upload", 400, files=files, data={"tags": tags})
        hits = (await self.tell("POST", "/v1/search", json={"query": says})).json()["hits"]
        assert self.canary.accented in json.dumps(hits, ensure_ascii=False)
        self.model.call("semantic__search", {"query": says}, when=says)
        events = await self.ask(says, session_id=self.canary.slug("sources"))
        assert "sources" in {each.event for each in events}
        await self.ingestion(f"{document}/content")
        await self.tell("DELETE", document, 204)

    async def ingestion(self, content: str) -> None:
        """A content that is replaced, places that are read from, and what is told of that."""
        says, slug = self.canary.says("replaced"), self.canary.slug("place")
        await self.tell("PUT", content, files={"file": (self.canary.says("new.md"), says.encode())})
        for place in ({"path_or_url": f"/{slug}"}, {"path_or_url": f"http://127.0.0.1:1/{slug}"}):
            body = place | {"from_web": "//" in place["path_or_url"], "tags": [says]}
            taken = await self.tell("POST", "/v1/ingest/path", of=self.root, json=body)
            assert slug in taken.text
            run = f"/v1/ingest/runs/{taken.json()['run_id']}"
            await self.tell("GET", f"{run}/events", of=self.root)
            await self.tell("POST", f"{run}/cancel", of=self.root)

    async def searches(self) -> None:
        """What is looked for in sessions, documents and lists, found or not."""
        says = self.canary.says("superseded")
        search = f"{SESSIONS}/search"
        found = await self.tell("POST", search, json={"query": self.canary.accented})
        assert found.json()["sessions"]
        await self.tell("POST", search, json={"query": says})
        await self.tell("POST", search, 400, json={"query": says, "cursor": says})
        await self.tell("POST", search, 400, json={"query": says, "limit": says})
        await self.tell("GET", SESSIONS, 400, params={"limit": says})
        await self.tell("POST", "/v1/search", json={"query": says})
        await self.tell("GET", "/v1/documents", params={"query": says, "tag": says})
        await self.tell("GET", "/v1/audit", 400, of=self.root, params={"action": says})

    async def mcp(self) -> None:
        """Calls over MCP that are answered, refused or malformed, and one that is taken back."""
        says, slug = self.canary.says("mcp"), self.canary.slug("mcp")
        self.model.reply(says, when=says)
        message = {"jsonrpc": "2.0", "id": slug, "method": "tools/call"}
        for params in (
            {"name": "ask", "arguments": {"question": says, "session_id": slug}},
            {"name": "ask", "arguments": {"question": says, "session_id": says}},
            {"name": "search", "arguments": {"query": says}},
            {"name": "search", "arguments": {"query": [says], says: says}},
            {"name": "read", "arguments": {"source_id": says}},
            {"name": says, "_meta": {"progressToken": slug, slug: says}},
            {"name": [says], "arguments": says},
        ):
            for accept in ("application/json", "text/event-stream"):
                headers = {"Accept": accept, "Mcp-Session-Id": slug}
                await self.tell("POST", "/mcp", json={**message, "params": params}, headers=headers)
        await self.tell("POST", "/mcp", json={**message, "method": says})
        await self.tell("POST", "/mcp", 400, json={"jsonrpc": says, "id": [says]})
        await self.tell("POST", "/mcp", 400, content=says.encode(), headers=JSON)
        back = {"requestId": slug, "reason": says}
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": back}
        headers = {"Mcp-Session-Id": slug}
        await self.tell("POST", "/mcp", 202, json=cancelled, headers=headers)
        await self.tell("POST", "/mcp", 400, json=message, headers={"MCP-Protocol-Version": slug})

    async def malformed_requests(self) -> None:
        """Bodies, paths, headers and credentials that are refused."""
        says, slug = self.canary.says("malformed"), self.canary.slug("malformed")
        for content in (f'{{"text_input": "{says}"', f'"{says}"', says, f'{{"{says}": "{says}"}}'):
            await self.tell("POST", CHAT, 400, content=content.encode(), headers=JSON)
        await self.tell("POST", CHAT, 400, json={"text_input": [says], "session_id": says})
        await self.tell("POST", CHAT, 400, content=says.encode())
        for path in (f"/{says}", f"{SESSIONS}/{slug}", f"/v1/documents/{slug}", f"/v1/runs/{slug}"):
            answer = await self.client.get(path, params={slug: says})
            assert answer.status_code in {400, 404}, answer.text
        await self.tell("PUT", f"{SESSIONS}/{slug}", 405, json={"title": says})
        for headers in (
            {"Authorization": f"Bearer yw_{slug}"},
            {"Authorization": slug},
            {"X-API-Key": slug},
            {"Cookie": f"youworker_token={slug}; youworker_csrf={slug}"},
        ):
            async with client_for(self.url, None) as stranger:
                await self.tell("GET", SESSIONS, 401, of=stranger, headers=headers)
                login = {"api_key": slug}
                await self.tell("POST", "/v1/auth/login", 401, of=stranger, json=login)
        odd = {
            "User-Agent": slug,
            "X-Correlation-ID": f"{slug} {slug}",
            "X-Forwarded-For": slug,
            "Referer": f"{self.url}/{slug}",
            "Accept-Language": slug,
        }
        await self.tell("GET", SESSIONS, headers=odd)
        await self.tell("GET", f"{SESSIONS}/{slug}", 404, headers=odd)

    async def sockets(self) -> None:
        """Messages over a WebSocket, spoken ones and malformed ones too."""
        says = self.canary.says("socket")
        async with open_socket(self.url, self.canary.slug("socket"), key=self.key) as socket:
            await socket.send(type="text", content=says)
            await socket.until("done")
            spoken = b64(read_samples("ill_disposed"))
            await socket.send(type="audio", content=spoken, format="pcm16")
            await socket.until("done")
            for message in (
                {"type": says},
                {"type": "text", "content": {says: says}},
                {"type": "text", "content": says, "model": says},
                {"type": "approval", "decisions": {says: says}},
                {"type": "resume", "run_id": says},
            ):
                await socket.send(**message)
                await socket.until("error")
            await socket.connection.send(f'{{"{says}')
            await socket.until("error")

    async def people(self, planted: str) -> None:
        """Groups, names of keys, an account's export, and an account that is deleted.

        A user's name is stored as it is: `planted` is one, for the search to find.
        """
        says = self.canary.says("group")
        await self.tell("POST", "/v1/groups", 201, json={"name": says, "description": says})
        await self.tell("POST", "/v1/api-keys", 201, json={"name": self.canary.says("key")})
        await self.tell("GET", "/v1/account/export")
        async with await new_user(self.url, self.root, planted) as leaving:
            body = {"text_input": self.canary.says("left"), "session_id": self.canary.slug("left")}
            await self.tell("POST", CHAT, of=leaving, json=body)
            wrong = {"confirm": self.canary.says("confirmation")}
            await self.tell("DELETE", "/v1/account", 400, of=leaving, json=wrong)
            await self.tell("DELETE", "/v1/account/history", of=leaving)

    async def leave_a_run(self) -> None:
        """Begin an answer that the end of the process cuts off."""
        says = self.canary.says("cut off")
        pause = self.model.hang(text=f"{says} " * 9, after=6, when=says)
        body = {"text_input": says, "session_id": self.canary.slug("cut")}
        async with self.client.stream("POST", STREAM, json=body) as answer:
            await pause.reached.wait()
            async for line in answer.aiter_lines():
                if line == "event: token":
                    return

    async def ask(
        self, text: str | None, *, expected: str = "success", **body: Any
    ) -> list[ServerSentEvent]:
        """Ask over the event stream, and hear how the run ends."""
        given = body if text is None else {"text_input": text, **body}
        events = read(await self.tell("POST", STREAM, json=given))
        assert ending(events) == expected, events[-2:]
        return events

    async def ask_for_notes(self, place: str, pattern: str, count: int) -> list[ServerSentEvent]:
        """Have the model ask for calls that a rule asks about."""
        says = self.canary.says(place)
        notes = [{"text": f"{pattern} {number}"} for number in range(count)]
        self.model.calls(*((f"{SERVER}__note", note) for note in notes), when=says)
        session = self.canary.slug(place.replace(" ", "-"))
        return await self.ask(says, expected="awaiting_approval", session_id=session)

    async def tell(
        self,
        method: str,
        path: str,
        status: int = 200,
        *,
        of: httpx.AsyncClient | None = None,
        **given: Any,
    ) -> httpx.Response:
        """Send one request that ends like this."""
        answer = await (of or self.client).request(method, path, **given)
        assert answer.status_code == status, f"{method} {path}: {answer.text}"
        return answer

    async def until_titled(self, session: str, title: str) -> None:
        """Wait until the session has the title."""
        async with asyncio.timeout(WAIT_SECONDS):
            path = f"{SESSIONS}/{session}"
            while (await self.tell("GET", path)).json()["title"] != title:
                pass

    async def until_healthy(self) -> None:
        """Wait until the server of the tools is there, again."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                health = await self.tell("GET", "/health/detailed", of=self.root)
                if health.json()["components"][f"mcp:{SERVER}"]["status"] == "healthy":
                    return


def read(answer: httpx.Response) -> list[ServerSentEvent]:
    """The events of an answer."""
    return list(read_events(answer.text.split("\n")))


def ending(events: list[ServerSentEvent]) -> str:
    """How they end."""
    metadata: Mapping[str, str] = events[-1].data["metadata"]
    return metadata["status"]


def b64(data: bytes) -> str:
    """As clients send bytes."""
    return base64.b64encode(data).decode()


async def new_user(url: str, root: httpx.AsyncClient, name: str) -> httpx.AsyncClient:
    """Make a user; return a client with that user's key."""
    made = (await root.post("/v1/users", json={"username": name})).json()
    issued = await root.post(f"/v1/users/{made['id']}/api-keys", json={"name": "t"})
    return client_for(url, issued.json()["key"])
