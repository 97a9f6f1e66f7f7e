import argparse
from pathlib import Path

import pytest

from bench.search import measure


async def test_the_benchmark_of_searching_tells_each_size_and_how_time_grew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = argparse.Namespace(sizes=[50, 100], tenants=2, queries=4)

    await measure(options, tmp_path)

    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told if line.endswith("×")] == ["50", "100"]
    assert told[-1].startswith("2 times the chunks took ")
