"""`youworker eval run smoke` as a person types it, on embedded defaults."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evals.cli.reading import check_all
from evals.records.record import load_run

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("model"), pytest.mark.timeout(400)]

SMOKE_SECONDS = 360
INHERITED = {"PATH", "HOME", "XDG_CACHE_HOME"}
REPORTS = {"results.json", "junit.xml", "summary.md", "report.html"}


def test_smoke_passes_on_the_embedded_model_and_leaves_its_reports(tmp_path):
    inherited = {name: value for name, value in os.environ.items() if name in INHERITED}
    done = subprocess.run(
        [Path(sys.executable).with_name("youworker"), "eval", "run", "smoke"],
        cwd=tmp_path,
        env=inherited | {"DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=SMOKE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [folder] = (tmp_path / "data" / "evals").iterdir()
    assert str(folder / "report.html") in done.stdout
    record = load_run(folder)
    [(suite, checks)] = check_all(record, ())
    assert {check.bound.name for check in checks} >= {"passed", "tool_trajectory", "recall"}
    assert all(check.holds for check in checks)
    assert suite.log
    assert {each.name for each in folder.iterdir()} >= REPORTS | {suite.log}
    # Of the product that was started for it nothing is left but what is said of its answers.
    assert [each.name for each in (tmp_path / "data").iterdir()] == ["evals"]
