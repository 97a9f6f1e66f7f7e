"""Suites put to a product, one after the other; what comes of it is a record."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inspect_ai import Task, eval_async
from inspect_ai.log import EvalLog, read_eval_log_async

from evals.records.reading import read_log
from evals.records.record import Conditions, SuiteRecord
from evals.records.surroundings import (
    read_revision,
    samples_digest,
    settings_digest,
    versions,
)
from evals.running.fixtures import made
from evals.running.python_tasks import load_tasks
from evals.running.task import build_task, choose_samples
from evals.suite.loading import Suite
from evals.suite.schema import SuiteSpec
from evals.target.model import product_model
from evals.target.opening import Target
from evals.target.product import Product
from server.settings import Settings


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How suites are run."""

    models: tuple[str | None, ...] = (None,)
    """Of the installation; None is its default."""
    epochs: int | None = None
    """Instead of the suites' own."""
    limit: int | None = None
    tags: tuple[str, ...] = ()
    seed: int = 0
    folder: Path
    """Where logs go."""


class SuiteRunner:
    """Runs suites on one product."""

    def __init__(
        self, product: Product, target: Target, settings: Settings, options: RunOptions
    ) -> None:
        self._product = product
        self._target = target
        self._settings = settings
        self._options = options
        self._revision = read_revision()

    async def run(self, suites: Sequence[Suite]) -> AsyncIterator[SuiteRecord]:
        """Yields a record for each suite and model, as they come.

        Raises:
            TargetFailed: What a suite needs cannot be made.
            UsageMistake: A suite has no sample such as was asked for.
        """
        for suite in suites:
            for model in self._options.models:
                for record in await self._run(suite, model):
                    yield record

    async def _run(self, suite: Suite, model: str | None) -> list[SuiteRecord]:
        """One record, or one for each task of a Python file."""
        spec = suite.spec
        if spec is None:
            tasks = load_tasks(suite.path)
            return [await self._record(suite, model, task, epochs=1) for task in tasks]
        samples = choose_samples(suite, tags=self._options.tags, limit=self._options.limit)
        async with made(self._product, spec.fixtures, suite.path.parent) as keys:
            task = build_task(suite, spec, self._product, keys=keys, samples=samples)
            return [await self._record(suite, model, task, epochs=spec.epochs)]

    async def _record(
        self, suite: Suite, model: str | None, task: Task, *, epochs: int
    ) -> SuiteRecord:
        log = await self._evaluate(task, model, epochs=epochs)
        return read_log(
            log,
            description=suite.description,
            conditions=self._conditions(suite, model, log),
            thresholds=_thresholds(suite.spec),
        )

    async def _evaluate(self, task: Task, model: str | None, *, epochs: int) -> EvalLog:
        options = self._options
        [log] = await eval_async(
            task,
            model=product_model(self._product, model),
            epochs=options.epochs or epochs,
            limit=options.limit,
            max_samples=self._target.concurrency,
            log_dir=str(options.folder),
            log_realtime=False,
            fail_on_error=False,
            ctl_server=False,
            score_display=False,
            tags=list(options.tags) or None,
            metadata={"seed": options.seed, "target": self._target.name},
        )
        # The samples of the log at hand are read when they are looked at, by way of patching the
        # running loop, which may be that of the product.
        return await read_eval_log_async(log.location) if log.location else log

    def _conditions(self, suite: Suite, model: str | None, log: EvalLog) -> Conditions:
        here = self._target.url is None
        return Conditions(
            target=self._target.name,
            model=model or (self._settings.llm.chat_model if here else "default"),
            seed=self._options.seed,
            settings_digest=settings_digest(self._settings) if here else None,
            git_revision=self._revision.commit,
            git_dirty=self._revision.dirty,
            versions=versions(),
            epochs=log.eval.config.epochs or 1,
            selection=_selection(self._options),
            samples_digest=samples_digest(suite.samples, suite.path.read_bytes()),
        )


def _selection(options: RunOptions) -> str:
    parts = [f"tags {', '.join(options.tags)}"] if options.tags else []
    return "; ".join(parts + ([f"the first {options.limit}"] if options.limit else []))


def _thresholds(spec: SuiteSpec | None) -> dict[str, dict[str, float | None]]:
    if spec is None:
        return {}
    return {name: each.model_dump() for name, each in spec.thresholds.items()}
