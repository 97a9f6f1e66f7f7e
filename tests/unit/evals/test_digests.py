"""By what runs tell that they asked the same, and answers of a cache that nothing has changed."""

import subprocess

import pytest

from evals.records import surroundings
from evals.records.surroundings import read_changes
from evals.running.conditions import RunConditions
from evals.running.digests import fixtures_digest, server_files, suite_digest
from evals.running.options import RunOptions
from evals.suite.loading import read_suite
from evals.target.opening import Target
from server.settings import Settings

SUITE = """\
name: mine
description: One of mine.
samples: samples.yaml
scorers: [includes]
fixtures:
  documents: [{path: handbook.md}]
  mcp_servers:
    - name: rates
      config: {command: "{python}", args: ["{suite}/tools/rates.py", "--log={suite}/gone.log"]}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "suite.yaml").write_text(SUITE, "utf-8")
    (tmp_path / "samples.yaml").write_text("- id: a\n  input: What?", "utf-8")
    (tmp_path / "handbook.md").write_text("Open from nine.", "utf-8")
    package = tmp_path / "tools" / "sources"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", "utf-8")
    (package / "bank.py").write_text("RATE = 1", "utf-8")
    (tmp_path / "tools" / "rates.py").write_text("import sources", "utf-8")
    (tmp_path / "tools" / "rates.json").write_text("{}", "utf-8")
    return tmp_path


@pytest.mark.parametrize("changed", ["suite.yaml", "samples.yaml", "handbook.md", "tools/rates.py"])
def test_a_record_tells_other_questions_and_documents_from_the_same(folder, changed):
    conditions = RunConditions(
        Target(url="http://x"), Settings(_env_file=None), RunOptions(folder=folder)
    )

    def told() -> str:
        suite = read_suite(folder / "suite.yaml")
        return conditions.of(suite, None, epochs=1).samples_digest

    before = told()
    assert told() == before
    text = (folder / changed).read_text("utf-8").replace("What", "Who")
    (folder / changed).write_text(f"{text}\n# other\n", "utf-8")
    assert told() == suite_digest(read_suite(folder / "suite.yaml")) != before


@pytest.mark.parametrize(
    "changed", ["handbook.md", "tools/rates.py", "tools/rates.json", "tools/sources/bank.py"]
)
def test_answers_hang_on_what_servers_of_the_suite_are_made_of(folder, changed):
    suite = read_suite(folder / "suite.yaml")
    before = fixtures_digest(suite)
    (folder / changed).write_text("other", "utf-8")
    assert fixtures_digest(suite) != before


def test_what_a_server_does_not_read_is_none_of_its_files(folder):
    server = SUITE.replace("{suite}/tools/rates.py", "{suite}/rates.py")
    (folder / "suite.yaml").write_text(server, "utf-8")
    (folder / "rates.py").write_text("", "utf-8")
    (folder / ".env").write_text("", "utf-8")
    (folder / "out").mkdir()
    (folder / "out" / "results.json").write_text("{}", "utf-8")
    suite = read_suite(folder / "suite.yaml")
    assert server_files(suite) == [folder / "handbook.md", folder / "rates.py"]


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "app.py").write_text("APP = 1", "utf-8")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_answers_hang_on_code_that_git_does_not_know_yet(checkout):
    untouched = read_changes(checkout)
    assert read_changes(checkout) == untouched
    (checkout / "server" / "new.py").write_text("NEW = 1", "utf-8")
    added = read_changes(checkout)
    (checkout / "server" / "new.py").write_bytes(b"NEW = '\xff'")
    changed = read_changes(checkout)
    (checkout / "server" / "app.py").write_bytes(b"APP = '\xff'")
    assert len({untouched, added, changed, read_changes(checkout)}) == 4


def test_a_run_that_lies_in_the_checkout_changes_no_answer(checkout):
    untouched = read_changes(checkout)
    (checkout / "out").mkdir()
    (checkout / "out" / "results.json").write_text("{}", "utf-8")
    assert read_changes(checkout) == untouched


def test_what_cannot_be_told_is_like_nothing_before(checkout, tmp_path_factory, monkeypatch):
    nowhere = tmp_path_factory.mktemp("nowhere")
    assert read_changes(nowhere) != read_changes(nowhere)
    monkeypatch.setattr(surroundings, "UNTRACKED_MAX", 0)
    (checkout / "server" / "new.py").write_text("NEW = 1", "utf-8")
    assert read_changes(checkout) != read_changes(checkout)
