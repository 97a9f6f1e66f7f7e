"""Streams chat answers through the product and through a bare program, and compares the two.

Both read the same scripted model, keep their state in the same Postgres and are asked in turn, so
that a ratio holds wherever it is measured; absolute times vary with the machine. Neither offers
tools to the model. The product authenticates, encrypts and audits; the bare program does not.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from bench.arrangements import Arrangement, open_arrangements
from bench.measures import Round, Scenario, run_round, scenarios, warm_up
from bench.postgres import open_server
from bench.processes import BenchmarkError, LoadGenerator
from bench.report import goals, median_of, slowness, summarise, table

MEASURING_SECONDS = 120
QUICK_MEASURING_SECONDS = 18


def compare(database_url: str, work_dir: Path, *, quick: bool, with_product: bool) -> None:
    """Measures all arrangements in turn and prints what came out."""
    with (
        open_arrangements(database_url, work_dir, with_product=with_product) as arrangements,
        closing(LoadGenerator()) as generator,
    ):
        idle_mib = arrangements[-1].served.memory_mib()
        loads = scenarios(quick=quick)
        warm_up(arrangements, generator)
        seconds = QUICK_MEASURING_SECONDS if quick else MEASURING_SECONDS
        rounds = list(measure_rounds(arrangements, loads, generator, seconds=seconds))
    tokens = next(load.tokens for load in loads if load.name == "burst 64")
    summaries = {
        arrangement.name: [summarise(one, arrangement.name, tokens) for one in rounds]
        for arrangement in arrangements[1:]
    }
    bare = median_of(summaries["bare"])
    print(f"{len(rounds)} rounds; medians\n")
    print(*table({name: median_of(many) for name, many in summaries.items()}), sep="\n")
    print(
        f"\nFor the bare program this machine needs {slowness(bare):.1f} times the CPU of the one "
        "that the goals in time were set on; 'there' is the value divided by that.\n"
    )
    if "product" in summaries:
        ready = arrangements[-1].served.seconds_to_ready
        judged = goals(
            summaries["product"], summaries["bare"], idle_mib=idle_mib, ready_seconds=ready
        )
        print(*(goal.line(slowness(bare)) for goal in judged), sep="\n")


def measure_rounds(
    arrangements: Sequence[Arrangement],
    loads: Sequence[Scenario],
    generator: LoadGenerator,
    *,
    seconds: float,
) -> Iterator[Round]:
    """Rounds until another would no longer fit, but one at least."""
    ends_at = time.monotonic() + seconds
    order = list(arrangements)
    while True:
        started = time.monotonic()
        yield run_round(order, loads, generator)
        # Turned round each time, so that none always runs in another's wake.
        order.reverse()
        if 2 * time.monotonic() - started > ends_at:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--bare-only", action="store_true", help="leave the product out")
    parser.add_argument("--database-url", help="a PostgreSQL server to use (default: embedded)")
    arguments = parser.parse_args()
    # Ends by unwinding, so that no process stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench.chat: stopped"))
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-chat-") as folder,
            open_server(arguments.database_url, Path(folder)) as database_url,
        ):
            compare(
                database_url,
                Path(folder),
                quick=arguments.quick,
                with_product=not arguments.bare_only,
            )
    except BenchmarkError as failure:
        sys.exit(f"bench.chat: {failure}")


if __name__ == "__main__":
    main()
