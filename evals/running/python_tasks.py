"""Tasks of Inspect's that stand in a Python file."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from inspect_ai import Task, list_tasks

from evals.errors import SuiteInvalid


def load_tasks(path: Path) -> list[Task]:
    """Runs the file, and makes each `@task` in it.

    Raises:
        SuiteInvalid: It fails, or there is none.
    """
    file = path.resolve()
    names = [each.name for each in list_tasks([file.name], root_dir=file.parent)]
    if not names:
        raise SuiteInvalid(f"{path}: there is no function with @task: add one.")
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None  # noqa: S101 - it ends in .py
    assert spec.loader is not None  # noqa: S101 - likewise
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return [getattr(module, name)() for name in names]
    except Exception as exc:
        raise SuiteInvalid(f"{path}: {type(exc).__name__}: {exc}.") from exc
