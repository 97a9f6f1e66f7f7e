"""Who is told of each sample as it ends: Inspect's hooks are of the process, listeners of a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from inspect_ai.hooks import Hooks, SampleEnd, hooks
from inspect_ai.model import get_model
from typing_extensions import override

from evals.records.reading import read_attempt, was_stopped
from evals.records.record import AttemptRecord

Listener = Callable[[AttemptRecord], None]
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tells the listener of all samples that end meanwhile."""
    _register()
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@cache
def _register() -> None:
    """Not at the import: Inspect prints a banner about hooks that are there when it begins."""
    get_model("none")
    hooks(name="youworker_samples", description="Tells how far a run is.")(_Samples)


class _Samples(Hooks):
    @override
    def enabled(self) -> bool:
        return _LISTENER.get() is not None

    @override
    async def on_sample_end(self, data: SampleEnd) -> None:
        listener = _LISTENER.get()
        if listener is not None and not was_stopped(data.sample):
            listener(read_attempt(data.sample))
