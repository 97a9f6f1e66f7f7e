"""Two replicas under `kill -9`: the short form of `python -m bench.soak`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS, STOPS, STREAMS = 4, 1, 6
LIMIT_SECONDS = 560


@pytest.mark.timeout(600)
def test_kills_at_random_moments_lose_nothing_and_do_nothing_twice():
    # A process of its own: the harness is many clients, a model and the parent of the replicas.
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "bench.soak", "--json", "--seed", "4"),
            *("--kills", str(KILLS), "--stops", str(STOPS), "--streams", str(STREAMS)),
            *("--pause", "2.5"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert ended.stdout, ended.stderr
    report = json.loads(ended.stdout)
    assert report["violations"] == []
    assert ended.returncode == 0
    assert (report["kills"], report["stops"]) == (KILLS, STOPS)
    assert report["crashes"] > 0
    assert report["runs"] >= STREAMS
