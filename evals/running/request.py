"""What was asked for; it stands in the folder of its run from the start, so that it can go on."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from evals.errors import UsageMistake
from evals.suite.loading import Suite, find_suite, own_suites

FILE = "request.json"


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What was asked for."""

    suites: tuple[str, ...]
    models: tuple[str | None, ...] = (None,)
    epochs: int | None = None
    concurrency: int = 1
    limit: int | None = None
    tags: tuple[str, ...] = ()
    seed: int = 0
    fail_under: tuple[str, ...] = ()
    baseline: Path | None = None
    out: Path | None = None
    url: str | None = None
    key: str | None = field(default=None, repr=False)
    """Never written down."""
    tools_host: str | None = None
    grader: str | None = None
    cache: bool = False
    quiet: bool = False


@dataclass(frozen=True, kw_only=True)
class KeptRequest:
    """What was asked for, and what it was about then."""

    request: RunRequest
    digests: tuple[str, ...]
    """Of the suites, in their order: their files, samples and documents."""
    models: tuple[str, ...]
    """As they were called, the default one by its name where that is known."""
    settings_digest: str | None
    git_revision: str | None
    form: Literal[1] = 1


_KEPT = TypeAdapter(KeptRequest)


def find_suites(names: Sequence[str]) -> list[Suite]:
    """The suites of these names and paths.

    Raises:
        UsageMistake: There is none, or it cannot be used.
    """
    return [find_suite(name) for name in names]


def keep_request(folder: Path, kept: KeptRequest) -> None:
    """Writes it down, without the key, with paths that hold from any folder."""
    request = kept.request
    own = set(own_suites())
    suites = [each if each in own else str(Path(each).resolve()) for each in request.suites]
    baseline = request.baseline.resolve() if request.baseline else None
    plain = replace(request, suites=tuple(suites), baseline=baseline, out=None, key=None)
    (folder / FILE).write_bytes(_KEPT.dump_json(replace(kept, request=plain), indent=1))


def load_request(folder: Path) -> KeptRequest:
    """Reads what was asked for.

    Raises:
        UsageMistake: It is no folder of a run, or one of another version.
    """
    file = folder / FILE
    try:
        return _KEPT.validate_json(file.read_bytes())
    except OSError as exc:
        raise UsageMistake(
            f"{str(folder)!r} is no folder of a run that can go on: there is no {FILE}."
        ) from exc
    except ValidationError as exc:
        raise UsageMistake(f"{str(file)!r} is of another version: run the suites anew.") from exc


def require_same(before: KeptRequest, now: KeptRequest) -> None:
    """Answers of different questions or models are not put together.

    Raises:
        UsageMistake: A suite, its samples or a model has changed since.
    """
    pairs = zip(before.request.suites, before.digests, now.digests, strict=True)
    changed = [name for name, old, new in pairs if old != new]
    if changed:
        raise UsageMistake(
            f"suite {changed[0]!r} has changed since: its answers do not go together with new "
            "ones. Run it anew with 'youworker eval run'."
        )
    if before.models != now.models:
        raise UsageMistake(
            f"the model has changed since, from {', '.join(before.models)} to "
            f"{', '.join(now.models)}: run the suites anew with 'youworker eval run'."
        )


def changes_since(before: KeptRequest, now: KeptRequest) -> list[str]:
    """What else is different: answers may hang on it, and an error may have been mended by it."""
    told = []
    if before.settings_digest != now.settings_digest:
        told.append("the settings have changed since the run began")
    if before.git_revision != now.git_revision:
        told.append("the revision has changed since the run began")
    return told
