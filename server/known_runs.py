"""Runs as far as somebody may know of them."""

from uuid import UUID

from persistence.errors import NotFound
from persistence.run_records import Run
from persistence.unit_of_work import UnitOfWork
from server.errors import RunNotFound


async def require_run(uow: UnitOfWork, run_id: UUID) -> Run:
    """Find a run.

    Raises:
        RunNotFound: It does not exist for whose unit of work it is.
    """
    try:
        return await uow.runs.get(run_id)
    except NotFound as exc:
        raise RunNotFound from exc
