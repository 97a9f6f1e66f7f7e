"""`youworker chat` where runs ask, wait, break off and go on."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from tests.fakes.cutting_proxy import open_cutting_proxy
from tests.fixtures.product import Product
from tests.integration.server.people import Person, make_group, open_person

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDS_SECONDS = 60
YOUWORKER = Path(sys.executable).with_name("youworker")
KM = {"value": 5, "from_unit": "km", "to_unit": "mile"}
CLEAR_LINE = "\x01\x0b"
"""Ctrl-A and Ctrl-K: what is written there already goes."""


@pytest_asyncio.fixture(loop_scope="module")
async def product(shared_product: Product) -> Product:
    return shared_product


class Terminal:
    """A command, and somebody who reads what it shows and types."""

    def __init__(self, process: asyncio.subprocess.Process, screen: int) -> None:
        """Args: screen: what is shown comes from there; of a terminal, what is typed goes there."""
        self.process = process
        self._screen = screen
        self._shown = bytearray()
        self._read_to = 0
        self._news = asyncio.Event()
        self._is_over = False
        asyncio.get_running_loop().add_reader(screen, self._read)

    async def until(self, text: str) -> None:
        """Reads until that is shown, from where it was read before."""
        async with asyncio.timeout(ENDS_SECONDS):
            while (found := self._shown.find(text.encode(), self._read_to)) < 0:
                assert not self._is_over, self._shown.decode()
                self._news.clear()
                await self._news.wait()
        self._read_to = found + len(text)

    def type(self, line: str) -> None:
        os.write(self._screen, f"{line}\n".encode())

    async def end(self) -> tuple[int, str]:
        """Reads to the end; returns the exit code and all that was shown."""
        async with asyncio.timeout(ENDS_SECONDS):
            while not self._is_over:
                self._news.clear()
                await self._news.wait()
            return await self.process.wait(), self._shown.decode()

    def _read(self) -> None:
        try:
            piece = os.read(self._screen, 65_536)
        except OSError:  # of a terminal that nobody has open any more
            piece = b""
        self._shown += piece
        if not piece:
            self._is_over = True
            asyncio.get_running_loop().remove_reader(self._screen)
        self._news.set()


@asynccontextmanager
async def youworker(
    person: Person, *arguments: str, url: str, with_person: bool = False
) -> AsyncIterator[Terminal]:
    key = person.client.headers["Authorization"].removeprefix("Bearer ")
    screen, stdout = os.openpty() if with_person else os.pipe()
    surroundings = {"COLUMNS": "200", "TERM": "dumb"}
    process = await asyncio.create_subprocess_exec(
        YOUWORKER,
        "chat",
        *arguments,
        env=os.environ | surroundings | {"YOUWORKER_URL": url, "YOUWORKER_API_KEY": key},
        stdin=stdout if with_person else subprocess.DEVNULL,
        stdout=stdout,
    )
    os.close(stdout)
    try:
        yield Terminal(process, screen)
    finally:
        asyncio.get_running_loop().remove_reader(screen)
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(screen)


@pytest_asyncio.fixture(loop_scope="module")
async def ada(product: Product) -> AsyncIterator[Person]:
    """Somebody whose conversions of units are put to a person."""
    async with open_person(product, "ada") as ada:
        await ask_first(product, await make_group(ada))
        yield ada


async def ask_first(product: Product, group_id: int, **rule: Any) -> None:
    body = {"group_id": group_id, "tool": "units.*", "verdict": "ask", "reason": "Sure?", **rule}
    answer = await product.client.post("/v1/tool-policies", json=body)
    assert answer.status_code == 201, answer.text


def script_conversion(product: Product) -> None:
    product.model.call("units__convert", KM)
    product.model.reply("As you [said].")


def told_the_model(product: Product) -> str:
    return str(product.model.requests[-1].messages[-1]["content"])


async def test_the_person_is_asked_and_allows(product: Product, ada: Person):
    script_conversion(product)
    async with youworker(ada, "Convert this.", url=product.url, with_person=True) as terminal:
        await terminal.until("[r]efuse? ")
        terminal.type("perhaps")
        await terminal.until("[r]efuse? ")
        terminal.type("a")
        code, shown = await terminal.end()
    assert code == 0
    assert "? units.convert waits for permission" in shown
    assert '"from_unit": "km"' in shown
    assert "Sure?" in shown
    assert "As you [said]." in shown
    assert "3.1" in told_the_model(product)


async def test_the_person_edits_the_arguments_until_they_fit(product: Product, ada: Person):
    script_conversion(product)
    async with youworker(ada, "Convert this.", url=product.url, with_person=True) as terminal:
        await terminal.until("[r]efuse? ")
        terminal.type("e")
        await terminal.until("Arguments: ")
        terminal.type(f"{CLEAR_LINE}no json")
        await terminal.until("no JSON object")
        terminal.type(f'{CLEAR_LINE}{{"value": "many"}}')
        await terminal.until("[INVALID_ARGUMENTS]")
        terminal.type("e")
        await terminal.until("Arguments: ")
        terminal.type(f'{CLEAR_LINE}{{"value": 10, "from_unit": "km", "to_unit": "mile"}}')
        code, shown = await terminal.end()
    assert code == 0
    assert "value=10" in shown
    assert "6.2" in told_the_model(product)


async def test_the_person_refuses_and_says_why(product: Product, ada: Person):
    script_conversion(product)
    async with youworker(ada, "Convert this.", url=product.url, with_person=True) as terminal:
        await terminal.until("[r]efuse? ")
        terminal.type("r")
        await terminal.until("Why?")
        terminal.type("Not on a Friday.")
        code, shown = await terminal.end()
    assert (code, "← units.convert" in shown) == (0, False)
    assert "Not on a Friday." in told_the_model(product)


async def test_ctrl_c_at_the_question_cancels_the_run(product: Product, ada: Person):
    product.model.call("units__convert", KM)
    arguments = ("--session", "c", "Convert this.")
    async with youworker(ada, *arguments, url=product.url, with_person=True) as terminal:
        await terminal.until("[r]efuse? ")
        # Between the prompt and the wait behind it Python would keep the signal for later.
        while psutil.Process(terminal.process.pid).status() != psutil.STATUS_SLEEPING:
            await asyncio.sleep(0)
        terminal.process.send_signal(signal.SIGINT)
        code, shown = await terminal.end()
    assert (code, "stopped" in shown) == (1, True)
    messages = (await ada.client.get("/v1/chat/sessions/c")).json()["messages"]
    assert messages[-1]["status"] == "cancelled"


async def test_without_a_terminal_everything_is_refused_and_said_to_be_so(
    product: Product, ada: Person
):
    script_conversion(product)
    async with youworker(ada, "Convert this.", url=product.url) as terminal:
        code, shown = await terminal.end()
    assert code == 0
    assert "refused: this needs a person's permission, and the input is no terminal" in shown
    assert "Nobody was there" in told_the_model(product)


async def test_without_a_terminal_nobody_waits_for_an_admin(product: Product, ada: Person):
    async with open_person(product, "bob") as bob:
        await ask_first(product, await make_group(ada, bob), approver="group_admin")
        product.model.call("units__convert", KM)
        async with youworker(bob, "Convert this.", url=product.url) as terminal:
            code, shown = await terminal.end()
    assert code == 1
    assert "An admin of the group has to allow this" in shown
    assert "its answer will be in the session" in shown


async def test_an_answer_is_shown_once_over_connections_that_break_off(
    product: Product, ada: Person
):
    product.model.call("datetime__now", {"timezone": "UTC"}, text="Let me see. ")
    product.model.call("datetime__now", {"timezone": "Asia/Tokyo"}, text="And there? ")
    product.model.reply("It is noon, or later.")
    async with (
        open_cutting_proxy(product.url, events=2) as (proxy, url),
        youworker(ada, "What time is it?", url=url) as terminal,
    ):
        code, shown = await terminal.end()
    assert code == 0, shown
    assert proxy.cuts >= 3
    assert shown.count("coming back to the answer") == proxy.cuts
    for once in ("Let me see.", "And there?", "noon, or later.", "Tokyo'"):
        assert shown.count(once) == 1
    assert shown.count("← datetime.now") == 2


async def test_a_message_that_waits_for_its_turn_says_so(product: Product, ada: Person):
    pause = product.model.hang(text="the first answer", after=1)
    product.model.reply("the second answer")
    on = ("--no-tools", "--session", "q")
    async with youworker(ada, *on, "one", url=product.url) as first:
        await pause.reached.wait()
        async with youworker(ada, *on, "two", url=product.url) as refused:
            code, _ = await refused.end()
        async with youworker(ada, *on, "--queue", "two", url=product.url) as second:
            await second.until("Waiting: the session is still answering")
            pause.release()
            ended = await second.end()
        whole = await first.end()
    assert code == 1
    assert (ended[0], whole[0]) == (0, 0)
    assert "the second answer" in ended[1]
    assert "the first answer" in whole[1]
