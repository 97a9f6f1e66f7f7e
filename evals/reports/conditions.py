"""Under what the answers came about."""

from collections.abc import Iterable
from html import escape

from evals.records.record import Conditions, SuiteRecord


def conditions_list(record: SuiteRecord) -> str:
    """As a list of names and values."""
    held = record.conditions
    shown: Iterable[tuple[str, object]] = {
        "model": held.model,
        "target": held.target,
        **_grader(held),
        "seed": held.seed,
        "epochs": held.epochs,
        "settings": held.settings_digest or "unknown",
        "samples": f"{held.samples_digest} {held.selection}".strip(),
        "revision": f"{held.git_revision or 'unknown'}{' with changes' if held.git_dirty else ''}",
        "started": record.started,
        "finished": record.finished,
        "log": record.log,
        **held.versions,
    }.items()
    rows = "".join(f"<dt>{escape(name)}<dd>{escape(str(value))}" for name, value in shown)
    return f'<h3>Conditions</h3><dl class="conditions">{rows}</dl>'


def _grader(held: Conditions) -> dict[str, str]:
    if held.grader is None:
        return {}
    return {"graded by": f"{held.grader}{' (itself)' if held.grades_itself else ''}"}
