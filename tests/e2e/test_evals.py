"""`youworker eval run smoke` as a person types it, on embedded defaults."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from evals.records.gate import check_all
from evals.records.record import SuiteRecord, load_run
from evals.suite.loading import SUITES

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("model"), pytest.mark.timeout(400)]

SMOKE_SECONDS = 360
INHERITED = {"PATH", "HOME", "XDG_CACHE_HOME"}
REPORTS = {"results.json", "junit.xml", "summary.md", "report.html"}
NOBODY = "http://127.0.0.1:9"
NO_NETWORK = {
    "HTTP_PROXY": NOBODY,
    "HTTPS_PROXY": NOBODY,
    "http_proxy": NOBODY,
    "https_proxy": NOBODY,
    "NO_PROXY": "127.0.0.1,localhost",
}
"""Whatever is asked for beyond this machine is refused."""
TIMED = {"latency", "first_token"}
ASKED_AGAIN = {"km-to-miles", "celsius-to-fahrenheit", "small-talk"}
"""Of smoke's samples, some whose right answer is the same at any time."""


@pytest.fixture
def again(tmp_path):
    """A suite that puts some of smoke's samples once more."""
    smoke = yaml.safe_load((SUITES / "smoke" / "suite.yaml").read_text("utf-8"))
    samples = yaml.safe_load((SUITES / "smoke" / smoke["samples"]).read_text("utf-8"))
    suite = {name: smoke[name] for name in ("description", "scorers")}
    suite |= {"name": "again", "samples": [each for each in samples if each["id"] in ASKED_AGAIN]}
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(suite), "utf-8")
    return path


def test_smoke_passes_offline_on_the_embedded_model_and_answers_the_same_again(tmp_path, again):
    inherited = {name: value for name, value in os.environ.items() if name in INHERITED}
    done = subprocess.run(
        [Path(sys.executable).with_name("youworker"), "eval", "run", "smoke", again],
        cwd=tmp_path,
        env=inherited | NO_NETWORK | {"DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=SMOKE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [folder] = (tmp_path / "data" / "evals").iterdir()
    assert str(folder / "report.html") in done.stdout
    record = load_run(folder)
    [(suite, checks), (repeated, _)] = check_all(record)
    assert {check.bound.name for check in checks} >= {"passed", "tool_trajectory", "recall"}
    assert all(check.holds for check in checks)
    assert suite.log
    assert {each.name for each in folder.iterdir()} >= REPORTS | {suite.log, repeated.log}
    assert answers(repeated).keys() == ASKED_AGAIN
    assert answers(repeated).items() <= answers(suite).items()
    # Of the product that was started for it nothing is left but what is said of its answers.
    assert [each.name for each in (tmp_path / "data").iterdir()] == ["evals"]


def answers(suite: SuiteRecord) -> dict[str, Any]:
    """What was said, called and scored, by sample; all but how long it took."""
    told = {}
    for each in suite.attempts:
        assert each.answer
        calls = [(call.name, call.arguments) for call in each.answer.calls]
        scores = {name: score.value for name, score in each.scores.items() if name not in TIMED}
        told[each.sample] = (each.answer.content, calls, scores)
    return told
