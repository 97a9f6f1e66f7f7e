"""`python -m bench.soak`: kills two replicas at random moments and checks that nothing was lost.

A scripted model streams, falls silent and asks for tools; clients ask, follow their runs over
whichever replica lives, and answer approvals. The seed settles what is asked and which replica is
killed when; which instruction a kill hits is up to the machine, so that each soak is another one.
Exits with 1 when anything did not hold.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from bench.soak.soak import Plan, run_soak


def main() -> int:
    """Runs one soak as the command line says."""
    options = _options()
    plan = Plan(
        kills=options.kills,
        stops=options.stops,
        seed=options.seed,
        streams=options.streams,
        minutes=options.minutes,
        mean_pause_seconds=options.pause,
    )
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        report = asyncio.run(run_soak(plan, folder))
    finally:
        if options.keep:
            print(f"the database and the logs are in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(report.as_json() if options.json else report.as_text())
    return 1 if report.violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak", description=__doc__, formatter_class=_Help
    )
    parser.add_argument("--kills", type=int, default=200, help="how many processes to kill -9")
    parser.add_argument("--stops", type=int, default=0, help="how many more to stop cleanly")
    parser.add_argument("--seed", type=int, default=1, help="settles questions and kills")
    parser.add_argument("--streams", type=int, default=12, help="clients that ask at once")
    parser.add_argument("--minutes", type=float, default=60, help="start no kill after so long")
    parser.add_argument("--pause", type=float, default=6, help="mean seconds to the next kill")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--keep", action="store_true", help="keep the database and the logs")
    return parser.parse_args()


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    pass


if __name__ == "__main__":
    sys.exit(main())
