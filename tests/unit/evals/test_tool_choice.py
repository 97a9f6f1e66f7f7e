"""Scoring of tool choices: what counts as right."""

import json

import pytest

from evals.tool_choice import DATA, Mark, mark_sample, report
from graph.llm.chat_model import open_chat_model
from graph.settings import ChatModelSettings
from tests.fakes.ollama_server import ScriptedOllama

WANTED = {
    "tool": "datetime__now",
    "arguments": {"timezone": {"$any_of": ["asia/tokyo", "Tokyo", "America/New York"]}},
}
ROME = {"tool": "datetime__now", "arguments": {"timezone": "Europe/Rome"}}


@pytest.fixture
async def scripted():
    async with ScriptedOllama() as fake:
        settings = ChatModelSettings(ollama_base_url=fake.base_url)
        async with open_chat_model("scripted", settings) as model:
            yield fake, model


@pytest.mark.parametrize(
    ("calls", "expect", "right"),
    [
        ([("datetime__now", {"timezone": "Asia/Tokyo"})], [WANTED], True),
        ([("datetime__now", {"timezone": "Europe/Rome"})], [WANTED], False),
        ([("units__convert", {"value": 1})], [WANTED], False),
        ([], [WANTED], False),
        ([], [], True),
        ([("datetime__now", {"timezone": "Asia/Tokyo"})], [], False),
        ([("search", {"query": "the leave policy"})],
         [{"tool": "search", "arguments": {"query": {"$includes": "leave"}}}], True),
        ([("datetime__now", {"timezone": "America/New_York"})], [WANTED], True),
        ([("datetime__now", {"timezone": "Europe/Rome"}),
          ("datetime__now", {"timezone": "Asia/Tokyo"})], [WANTED, ROME], True),
        ([("datetime__now", {"timezone": "Asia/Tokyo"}),
          ("datetime__now", {"timezone": "Europe/Oslo"})], [WANTED, WANTED], False),
    ],
)  # fmt: skip
async def test_a_choice_is_right_when_the_tool_and_its_arguments_are(
    scripted, calls, expect, right
):
    fake, model = scripted
    fake.calls(*calls, text="" if calls else "hello")
    sample = {"prompt": "?", "category": "time", "expect": expect}
    mark = await mark_sample(model, [], sample, tell=False)
    assert mark.right is right


def test_a_report_counts_by_category_and_returns_the_share(capsys):
    marks = [
        Mark(category="time", right=True, seconds=1),
        Mark(category="time", right=False, seconds=3),
        Mark(category="none", right=True, seconds=2),
        Mark(category="none", right=True, seconds=2),
    ]
    assert report("held_out", marks) == 0.75
    shown = capsys.readouterr().out
    assert "time         1 of 2 = 50% (95%: 5% to 95%)\n" in shown
    assert "  3 of 4 = 75% (95%: 26% to 96%), median 2.0 s" in shown


def test_the_prompts_are_many_and_the_held_out_ones_are_others():
    data = json.loads(DATA.read_text("utf-8"))
    tuning = {sample["prompt"] for sample in data["tuning"]}
    held_out = {sample["prompt"] for sample in data["held_out"]}
    assert len(tuning) >= 30
    assert len(held_out) >= 15
    assert not tuning & held_out
