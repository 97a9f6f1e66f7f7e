"""The suites of the product, as data."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from evals.suite.loading import SUITES, find_suite, own_suites

ROOT = Path(__file__).parents[3]
MOST_BYTES = 400 * 1024
BORROWED = {"rag": "CC BY-SA 4.0", "voice": "LibriVox"}
"""Suites whose data others made, and a word of the licence that is beside them."""


def files_of(name):
    return [path for path in (SUITES / name).rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", own_suites())
def test_a_suite_is_small(name):
    kept = [path for path in files_of(name) if "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in kept) < MOST_BYTES


@pytest.mark.parametrize(("name", "word"), BORROWED.items())
def test_what_others_made_has_its_licence_beside_it(name, word):
    [licence] = [path for path in files_of(name) if path.name == "LICENSE"]
    assert word in licence.read_text("utf-8")
    assert "LICENSE" in find_suite(name).description


def test_suites_are_in_the_wheel():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    assert "evals" in wheel["targets"]["wheel"]["packages"]
    assert not {"exclude", "only-include"} & {*wheel, *wheel["targets"]["wheel"]}
    # Besides that, the builder leaves out what git does.
    paths = [str(p) for name in own_suites() for p in files_of(name) if p.suffix != ".pyc"]
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ignored.stdout, ignored.returncode) == ("", 1)


def test_rag_asks_about_documents_that_are_there():
    suite = find_suite("rag")
    documents = {Path(each.path).name for each in suite.spec.fixtures.documents}
    relevant = {name for each in suite.samples for name in each.expect.relevant or ()}
    assert relevant <= documents
    for sample in suite.samples:
        right = [name for name, grade in (sample.expect.relevant or {}).items() if grade == 2]
        expected = {"answerable": 1, "multi-document": 2, "unanswerable": 0}[sample.tags[0]]
        assert len(right) == expected or sample.id == "chaffee-zoo-and-reenactment"


def test_every_answer_of_rag_stands_in_the_document_that_is_right():
    suite = find_suite("rag")
    for sample in suite.samples:
        if not sample.target:
            continue
        [right] = [name for name, grade in sample.expect.relevant.items() if grade == 2]
        text = (SUITES / "rag" / "documents" / right).read_text("utf-8").casefold()
        assert any(target.casefold() in text for target in sample.target), sample.id
