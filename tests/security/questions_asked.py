"""The canary in what tool servers ask people and models, and in what these answer."""

import asyncio
from typing import Any

from tests.security.everything_said import SERVER, WAIT_SECONDS, Talk

QUESTIONS = "/v1/questions"


async def ask_questions(talk: Talk) -> None:
    """A form, an address, what a model is to be asked; answers of all kinds, wrong ones as well."""
    says = talk.canary.says
    form = await _open(talk, "ask", "form")
    path = f"/v1/runs/{form.question['run_id']}/answers"
    [field] = form.question["schema"]["properties"]
    wrong: list[Any] = [
        {form.id: {"action": "accept", "content": {field: [says("wrong")]}}},
        {form.id: {"action": "accept", "content": {field: "x", says("wrong name"): "x"}}},
        {form.id: {"action": says("wrong action")}},
        {says("wrong id"): {"action": "cancel"}},
    ]
    for answers in wrong:
        await talk.tell("POST", path, 400, json={"answers": answers})
    await form.answer("accept", content={field: says("filled in")})
    await (await _open(talk, "ask", "declined")).answer("decline")
    await (await _open(talk, "send", "address")).answer("accept")
    talk.model.reply(says("sampled"), when=says("sampling, for the model"))
    sampling = await _open(talk, "consult", "sampling")
    assert sampling.question["kind"] == "sampling"
    await sampling.answer("accept")
    listed = (await talk.tell("GET", QUESTIONS)).json()["questions"]
    assert [each["status"] for each in listed].count("accepted") == 3
    left = await _open(talk, "ask", "left open", ends="cancelled")
    await talk.tell("POST", f"/v1/runs/{left.question['run_id']}/cancel")
    await left.running


class _Open:
    """A question that waits for its answer while its run goes on."""

    def __init__(self, talk: Talk, running: "asyncio.Task[Any]", question: dict[str, Any]) -> None:
        self.running = running
        self.question = question
        self.id: str = question["question_id"]
        self._talk = talk

    async def answer(self, action: str, **more: Any) -> None:
        """Answer it, and hear the run to its end."""
        body = {"answers": {self.id: {"action": action, **more}}}
        path = f"/v1/runs/{self.question['run_id']}/answers"
        await self._talk.tell("POST", path, 202, json=body)
        await self.running


async def _open(talk: Talk, tool: str, place: str, *, ends: str = "success") -> _Open:
    """Have the model call a tool that asks."""
    says = talk.canary.says(place)
    talk.model.call(f"{SERVER}__{tool}", {"text": says}, when=says)
    session = talk.canary.slug(place.replace(" ", "-"))
    running = asyncio.create_task(talk.ask(says, expected=ends, session_id=session))
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            listed = await talk.tell("GET", QUESTIONS, params={"status": "open"})
            if found := listed.json()["questions"]:
                return _Open(talk, running, found[0])
            assert not running.done(), await running
