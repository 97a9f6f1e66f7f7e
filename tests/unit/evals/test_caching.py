"""Answers that earlier runs were given, and limits on what an answer takes."""

import stat

import pytest

from evals.target.answer import Answer, CalledTool
from evals.target.caching import AnswerCache
from evals.target.limits import AnswerLimits

CONDITIONS = {"settings": "s", "seed": 0}
ASKED = {"sample": "a", "epoch": 1, "input": ["Hello"], "model": "default"}
ANSWERS = (Answer(content="Yes.", seconds=2.0, tokens_in=3),)


@pytest.fixture
def cache(tmp_path):
    return AnswerCache(tmp_path / "cache", CONDITIONS)


async def test_an_answer_is_there_again(cache):
    await cache.keep(ASKED, ANSWERS)
    assert await cache.load(ASKED) == ANSWERS


@pytest.mark.parametrize("changed", ["sample", "epoch", "input", "model"])
async def test_another_question_or_epoch_is_asked_anew(cache, changed):
    await cache.keep(ASKED, ANSWERS)
    assert await cache.load(ASKED | {changed: "other"}) is None


async def test_an_answer_under_other_conditions_is_another(cache, tmp_path):
    await cache.keep(ASKED, ANSWERS)
    other = AnswerCache(tmp_path / "cache", CONDITIONS | {"seed": 1})
    assert await other.load(ASKED) is None


async def test_answers_are_for_their_owner_alone(cache, tmp_path):
    await cache.keep(ASKED, ANSWERS)
    [file] = (tmp_path / "cache").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


async def test_a_file_that_is_broken_is_no_answer(cache, tmp_path):
    await cache.keep(ASKED, ANSWERS)
    [file] = (tmp_path / "cache").iterdir()
    for content in (b"", b"{", b'{"turns": []}', b'{"turns": [{"content": 1}]}', b"\xff"):
        file.write_bytes(content)
        assert await cache.load(ASKED) is None
    await cache.keep(ASKED, ANSWERS)
    assert await cache.load(ASKED) == ANSWERS


@pytest.mark.parametrize("status", ["cancelled", "refused"])
async def test_what_came_to_no_end_is_not_kept(cache, status):
    await cache.keep(ASKED, [Answer(content="Ye", status=status)])
    assert await cache.load(ASKED) is None


@pytest.mark.parametrize(
    ("limits", "met"),
    [
        ({}, None),
        ({"tokens": 7, "steps": 2, "tool_calls": 1}, None),
        ({"tokens": 6}, "7 tokens, at most 6"),
        ({"steps": 1}, "2 steps, at most 1"),
        ({"tool_calls": 0}, "1 tool calls, at most 0"),
    ],
)
def test_a_limit_that_is_met_is_named(limits, met):
    answer = Answer(
        content="x",
        tokens_in=3,
        tokens_out=4,
        steps=2,
        calls=(CalledTool(name="a.b", arguments={}),),
    )
    assert AnswerLimits(**limits).met(answer) == met
