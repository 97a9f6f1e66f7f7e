"""Tasks of Inspect's that stand in a Python file."""

from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from inspect_ai import Task, list_tasks
from inspect_ai.dataset import Sample

from evals.errors import SuiteInvalid, UsageMistake


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


def choose_from(task: Task, tags: Sequence[str]) -> Task:
    """The task with those of its samples that have any of the tags in their metadata.

    Raises:
        UsageMistake: There is none.
    """
    if not tags:
        return task
    known = {tag for each in task.dataset for tag in _tags(each)}
    if not known & set(tags):
        raise UsageMistake(
            f"task {task.name!r} has no sample with these tags: its samples' metadata have "
            f"{sorted(known) or 'no list of tags'}."
        )
    task.dataset = task.dataset.filter(lambda sample: bool(_tags(sample) & set(tags)))
    return task


def _tags(sample: Sample) -> set[str]:
    tags = (sample.metadata or {}).get("tags") or ()
    return {tags} if isinstance(tags, str) else {str(each) for each in tags}
