"""Streams chat answers through the product and through a bare program, and compares the two.

Both read the same scripted model, keep their state in the same Postgres and are asked in turn, so
that a ratio holds wherever it is measured; absolute times vary with the machine. The parts are
`chat` (no tools offered to the model), `socket` (the same over WebSockets), `tools` (one call of a
tool that tells the time before each answer) and `pair` (two processes of the product on one
database). The product authenticates, encrypts, audits, logs every event and judges tool calls by
rules; the bare program does none of it. Titles are off: each would be a second question.
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
from bench.parts import PARTS, TITLES, PartName, Setting, open_part
from bench.postgres import open_server
from bench.processes import BenchmarkError, LoadGenerator, Served
from bench.report import Summary, goals, median_of, ratios, slowness, summarise, table

MEASURING_SECONDS = 120
QUICK_MEASURING_SECONDS = 18


def compare(
    database_url: str,
    work_dir: Path,
    *,
    parts: Sequence[PartName],
    quick: bool,
    with_product: bool,
) -> None:
    """Measures the parts one after the other and prints what came out of each."""
    with (
        open_arrangements(database_url, work_dir, with_product=with_product) as arrangements,
        closing(LoadGenerator()) as generator,
    ):
        last = arrangements[-1].served
        assert isinstance(last, Served)
        idle_mib = last.memory_mib()
        setting = Setting(arrangements=arrangements, database_url=database_url, work_dir=work_dir)
        print("All but 'bare': key, encryption, audit, event log and rules on tools; no titles.")
        for part in parts:
            summaries = measure_part(part, setting, generator, quick=quick)
            if part == "chat":
                print_goals(summaries, idle_mib=idle_mib, ready_seconds=last.seconds_to_ready)
            else:
                print_ratios(summaries)


def measure_part(
    part: PartName, setting: Setting, generator: LoadGenerator, *, quick: bool
) -> dict[str, list[Summary]]:
    """Measures all arrangements of a part in turn; gives and prints what came out."""
    loads = scenarios(quick=quick)
    seconds = QUICK_MEASURING_SECONDS if quick else MEASURING_SECONDS
    with open_part(part, setting) as arrangements:
        warm_up(arrangements, generator)
        rounds = list(measure_rounds(arrangements, loads, generator, seconds=seconds))
    tokens = next(load.tokens for load in loads if load.name == "burst 64")
    summaries = {
        arrangement.name: [summarise(one, arrangement.name, tokens) for one in rounds]
        for arrangement in arrangements[1:]
    }
    print(f"\n{TITLES[part]}\n{len(rounds)} rounds; medians\n")
    print(*table({name: median_of(many) for name, many in summaries.items()}), sep="\n")
    return summaries


def print_goals(
    summaries: dict[str, list[Summary]], *, idle_mib: float, ready_seconds: float
) -> None:
    """Prints what the chat's numbers say about the goals."""
    bare = median_of(summaries["bare"])
    print(
        f"\nFor the bare program this machine needs {slowness(bare):.1f} times the CPU of the one "
        "that the goals in time were set on; 'there' is the value divided by that.\n"
    )
    if "product" in summaries:
        judged = goals(
            summaries["product"],
            summaries["bare"],
            idle_mib=idle_mib,
            ready_seconds=ready_seconds,
        )
        print(*(goal.line(slowness(bare)) for goal in judged), sep="\n", flush=True)


def print_ratios(summaries: dict[str, list[Summary]]) -> None:
    """Prints how the last of a part compares with those before it."""
    *others, last = summaries
    for other in others:
        print()
        print(*ratios(summaries[last], summaries[other], f"{last} over {other}"), sep="\n")
    sys.stdout.flush()


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
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)"
    )
    parser.add_argument("--database-url", help="a PostgreSQL server to use (default: embedded)")
    arguments = parser.parse_args()
    with_product = not arguments.bare_only
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
                parts=[each for each in arguments.parts if with_product or each != "pair"],
                quick=arguments.quick,
                with_product=with_product,
            )
    except BenchmarkError as failure:
        sys.exit(f"bench.chat: {failure}")


if __name__ == "__main__":
    main()
