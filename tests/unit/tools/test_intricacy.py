"""How much work it is to read a message."""

import asyncio
import json

import pytest

from tools.budget import BYTES_AT_ONCE, ByteBudget
from tools.errors import AnswerTooIntricate
from tools.transports.intricacy import PART_BYTES, PARTS_MAX, admit, count_parts

MANY = 2 * PARTS_MAX


@pytest.mark.parametrize(
    "part",
    ["[],", "{},", "1,", '"",', '"a\\\\",', '{"a": ["\\"", 1]},', "["],
    ids=["lists", "objects", "numbers", "texts", "ends of texts", "everything", "depth"],
)
async def test_what_is_made_of_too_many_parts_is_not_read(part: str) -> None:
    data = f'{{"jsonrpc": "2.0", "id": 1, "result": {{"a": [{part * MANY}1]}}}}'.encode()

    with pytest.raises(AnswerTooIntricate):
        await admit(data, ByteBudget())


@pytest.mark.parametrize(
    "text",
    ["[1, 2], {}" * MANY, '{"a": "b, c"}, ' * MANY, "\\[,\\\\" * MANY, '"' * MANY],
    ids=["brackets", "JSON", "backslashes", "quotation marks"],
)
async def test_what_stands_in_a_text_is_one_part(text: str) -> None:
    data = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"a": [text, 1, {}]}}).encode()

    await admit(data, ByteBudget())

    assert count_parts(data) <= 8 or max(map(text.count, "[{,")) == 0


async def test_many_parts_wait_as_many_bytes_do() -> None:
    budget, data = ByteBudget(), b"[" + b"1," * (PARTS_MAX - 2) + b"1]"

    for _ in range(BYTES_AT_ONCE // (PARTS_MAX * PART_BYTES)):
        await admit(data, budget)

    waiting = asyncio.ensure_future(admit(data, budget))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
