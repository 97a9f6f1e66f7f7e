"""`youworker eval new`."""

import re
from pathlib import Path

import typer

from evals.errors import UsageMistake
from evals.suite.loading import FILE, own_suites
from evals.suite.schema import NAME_PATTERN

TEMPLATE = Path(__file__).parents[1] / "data" / "new"
PLACE_OF_NAME = "__NAME__"


def make_suite(name: str, below: Path) -> Path:
    """Makes a folder with a suite that can be run as it is; says how.

    Raises:
        UsageMistake: The name is none, or is taken.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise UsageMistake(
            f"{name!r} is no name for a suite: take up to 64 of a-z, 0-9, '-' and '_', "
            "the first one a letter or a digit."
        )
    if name in own_suites():
        raise UsageMistake(f"{name!r} is one of the product's own suites; take another name.")
    folder = below / name
    try:
        folder.mkdir(parents=True)
        for file in sorted(each for each in TEMPLATE.rglob("*") if each.is_file()):
            made = folder / file.relative_to(TEMPLATE)
            made.parent.mkdir(exist_ok=True)
            made.write_text(file.read_text("utf-8").replace(PLACE_OF_NAME, name), "utf-8")
    except FileExistsError as exc:
        raise UsageMistake(
            f"{str(folder)!r} is there already, and nothing of it was touched; take another name."
        ) from exc
    except OSError as exc:
        raise UsageMistake(f"{str(folder)!r} cannot be made: {exc.strerror}.") from exc
    typer.echo(f"made {folder}: begin with {folder / FILE}, which says what is what.")
    typer.echo(f"run it with: youworker eval run {folder}")
    return folder
