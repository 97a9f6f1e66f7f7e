"""What an eval costs beside the answers that it asks for: time, CPU, memory and files.

    python -m bench.evals [--samples 1000] [--database-url URL]

`youworker eval run` puts samples to a product whose model follows a script, one and 16 at a time.
The floor is asked for in the same run: as many questions of the same kind by a bare loop over the
same API, which neither judges nor keeps anything. Whether memory grows is read off a quarter of the
samples.
"""

import argparse
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.arrangements import STREAM_PATH, own_database, serve_model, serve_product
from bench.load import Wave
from bench.postgres import open_server
from bench.processes import BenchmarkError, LoadGenerator
from evals.cli.reading import write_reports
from evals.records.record import load_run

TOKENS = 32
CONCURRENCY = (1, 16)
QUARTER = 4
KIB_PER_MIB = 1024
SUITE = {
    "name": "scripted",
    "description": "Questions to a model that follows a script.",
    "samples": "samples.jsonl",
    "scorers": ["regex", "clean_answer", {"tool_trajectory": {"mode": "strict"}}, "latency"],
}
_PASSED = re.compile(r"(\d+) passed")


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked, and where."""

    port: int
    key: str

    @property
    def text(self) -> str:
        """So that the model answers with so many tokens, as fast as it can."""
        return f"Say something. [[{TOKENS}@0]]"

    def wave(self, *, streams: int, turns: int) -> Wave:
        """The bare loop."""
        body = {"text_input": self.text, "session_id": "$SESSION", "enable_tools": False}
        return Wave(
            ports=[self.port],
            path=STREAM_PATH,
            headers={"Authorization": f"Bearer {self.key}"},
            body=json.dumps(body),
            streams=streams,
            turns=turns,
        )


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one eval took, from the start of the command to its end."""

    samples: int
    seconds: float
    cpu_seconds: float
    """Of the eval's own process."""
    peak_mib: float


def measure(url: str, folder: Path, *, samples: int) -> None:
    """Measures all of it, and prints what came out."""
    key = secrets.token_urlsafe(32)
    with (
        serve_model(folder) as model,
        own_database(url, "evals") as database,
        serve_product(f"http://127.0.0.1:{model.port}", database, key, folder) as product,
        closing(LoadGenerator()) as generator,
    ):
        question = Question(port=product.port, key=key)
        ask_bare(generator, question, streams=4, turns=25)  # warms up
        start = put_samples(folder / "one", question, samples=1, concurrency=1)
        print(f"a suite of one sample: {start.seconds:.1f} s, {start.peak_mib:.0f} MiB\n")
        print("| at a time | bare, ms | eval, ms | samples/s | eval over bare | eval's CPU, ms |")
        print("|---|---|---|---|---|---|")
        for concurrency in CONCURRENCY:
            product.settle()
            turns = samples // concurrency
            bare = ask_bare(generator, question, streams=concurrency, turns=turns)
            product.settle()
            whole = put_samples(
                folder / f"at-{concurrency}", question, samples=samples, concurrency=concurrency
            )
            print_pair(concurrency, bare / (turns * concurrency), whole, start)
        quarter = put_samples(
            folder / "quarter", question, samples=samples // QUARTER, concurrency=CONCURRENCY[-1]
        )
    print_memory(quarter, whole)
    print_reports(folder / f"at-{CONCURRENCY[-1]}" / "run")


def print_pair(concurrency: int, floor: float, whole: Cost, start: Cost) -> None:
    """One line of the table; what the command takes to start is not in it."""
    seconds = (whole.seconds - start.seconds) / whole.samples
    cpu_seconds = (whole.cpu_seconds - start.cpu_seconds) / whole.samples
    print(
        f"| {concurrency} | {floor * 1000:.1f} | {seconds * 1000:.1f} | {1 / seconds:.1f} "
        f"| {seconds / floor:.2f} | {cpu_seconds * 1000:.1f} |",
        flush=True,
    )


def print_memory(quarter: Cost, whole: Cost) -> None:
    """The peak, and by how much it grows."""
    grown = (whole.peak_mib - quarter.peak_mib) / (whole.samples - quarter.samples) * 1000
    print(
        f"\nmemory of the eval at its peak: {quarter.peak_mib:.0f} MiB of {quarter.samples} "
        f"samples, {whole.peak_mib:.0f} MiB of {whole.samples}: {grown:.0f} MiB per 1,000"
    )


def print_reports(run: Path) -> None:
    """How long all reports take, and how large everything is."""
    record = load_run(run)
    started = time.perf_counter()
    write_reports(run, record)
    print(f"writing all reports anew: {time.perf_counter() - started:.2f} s")
    for path in sorted(run.iterdir()):
        print(f"  {path.suffix or path.name}: {path.stat().st_size / 2**20:.2f} MiB")


def ask_bare(generator: LoadGenerator, question: Question, *, streams: int, turns: int) -> float:
    """Seconds that the bare loop takes."""
    result = generator.run(question.wave(streams=streams, turns=turns))
    if result.errors:
        raise BenchmarkError(f"{len(result.errors)} answers failed, such as {result.errors[0]}")
    return result.wall_seconds


def put_samples(folder: Path, question: Question, *, samples: int, concurrency: int) -> Cost:
    """Runs the command on a suite of so many samples."""
    write_suite(folder, question, samples)
    command = [str(Path(sys.executable).with_name("youworker")), "eval", "run", str(folder)]
    command += ["--url", f"http://127.0.0.1:{question.port}", "--key", question.key]
    command += ["--concurrency", str(concurrency), "--out", str(folder / "run")]
    with (folder / "log").open("w+", encoding="utf-8") as log:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        log.seek(0)
        told = log.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    passed = _PASSED.findall(told)  # the last: those before it tell how far it was
    if process.returncode != 0 or not passed or int(passed[-1]) != samples:
        raise BenchmarkError(f"the eval did not pass:\n{told[-2000:]}")
    return Cost(
        samples=samples,
        seconds=seconds,
        cpu_seconds=used.ru_utime + used.ru_stime,
        peak_mib=used.ru_maxrss / KIB_PER_MIB,
    )


def write_suite(folder: Path, question: Question, samples: int) -> None:
    """A suite as an evaluator would write it."""
    folder.mkdir()
    expect = {"calls": [], "pattern": "[0-9a-z]{4}"}
    asked: Sequence[dict[str, object]] = [
        {"id": f"q{number}", "input": question.text, "tools": False, "expect": expect}
        for number in range(samples)
    ]
    lines = "".join(json.dumps(each) + "\n" for each in asked)
    (folder / "samples.jsonl").write_text(lines, "utf-8")
    (folder / "suite.yaml").write_text(json.dumps(SUITE), "utf-8")  # JSON is YAML too


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_000)
    parser.add_argument("--database-url", help="a PostgreSQL server to use (default: embedded)")
    arguments = parser.parse_args()
    # Ends by unwinding, so that no process stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench.evals: stopped"))
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-evals-") as folder,
            open_server(arguments.database_url, Path(folder)) as url,
        ):
            measure(url, Path(folder), samples=arguments.samples)
    except BenchmarkError as failure:
        sys.exit(f"bench.evals: {failure}")


if __name__ == "__main__":
    main()
