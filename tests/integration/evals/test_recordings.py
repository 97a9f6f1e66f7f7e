"""Samples that are spoken or shown, put to a running product with a real speech model."""

import pytest
import yaml

from evals.records.summary import SuiteSummary
from evals.suite.loading import find_suite, read_suite
from tests.fixtures.images import make_png
from tests.fixtures.speech import ILL_DISPOSED, read_recording

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("speech"),
]

SUITE = {"name": "mine", "description": "One of mine.", "scorers": ["includes", "word_error_rate"]}


@pytest.fixture
def evaluate(put, tmp_path):
    """Puts samples to the product; returns the record."""

    async def run(*samples, suite=None, tags=()):
        path = tmp_path / "suite.yaml"
        if suite is None:
            path.write_text(yaml.safe_dump(SUITE | {"samples": list(samples)}), "utf-8")
        return await put(suite or read_suite(path), tags=tags)

    return run


async def test_what_is_spoken_is_asked_and_what_was_understood_is_kept(evaluate, tmp_path):
    (tmp_path / "said.wav").write_bytes(read_recording("ill_disposed"))
    record = await evaluate(
        {
            "id": "alone",
            "audio": "said.wav",
            "target": "young man",
            "expect": {"transcript": ILL_DISPOSED},
        },
        {
            "id": "after typed words",
            "input": "Repeat:",
            "audio": "said.wav",
            "target": "young man",
            "expect": {"transcript": "he was not a young man at all"},
        },
    )
    alone, after = record.attempts
    assert alone.passed
    assert alone.answer.transcript == after.answer.transcript
    assert not after.answer.transcript.startswith("Repeat")
    assert alone.scores["word_error_rate"].value == 0
    assert after.scores["word_error_rate"].value == pytest.approx(5 / 8)
    [file] = alone.media
    assert (file.kind, file.name, file.bytes) == ("audio", "said.wav", 95_724)
    assert SuiteSummary(record).state("after typed words") == "passed"


async def test_an_image_goes_with_the_first_message(evaluate, shared_product, tmp_path):
    shared_product.model.capabilities = ["completion", "tools", "vision"]
    shared_product.model.requests.clear()
    (tmp_path / "seen.png").write_bytes(make_png(3, 2))
    record = await evaluate({"id": "seen", "input": ["What is it?", "Sure?"], "images": "seen.png"})
    [attempt] = record.attempts
    assert [(each.kind, each.name) for each in attempt.media] == [("image", "seen.png")]
    first = shared_product.model.requests[0].messages[-1]
    assert (first["content"], len(first["images"])) == ("What is it?", 1)


async def test_an_image_that_the_product_refuses_is_an_error_and_no_wrong_answer(
    evaluate, tmp_path
):
    (tmp_path / "cut.png").write_bytes(make_png(3, 2)[:30])
    record = await evaluate({"id": "seen", "input": "What?", "images": "cut.png", "target": "x"})
    [attempt] = record.attempts
    assert attempt.passed is None
    assert "Image 1 is no whole PNG" in attempt.error


async def test_nothing_is_heard_in_silence_noise_and_hum(evaluate):
    record = await evaluate(suite=find_suite("voice"), tags=("nothing-said",))
    assert [(each.sample, each.passed) for each in record.attempts] == [
        ("silence", True),
        ("noise", True),
        ("hum", True),
    ]
