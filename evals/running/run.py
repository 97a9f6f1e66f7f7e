"""Suites put to a product, one after the other; what comes of it is a record."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

from inspect_ai import Task

from evals.records.logs import KeptLog, LogLabel, OpenedLog, Place, newest_logs, record_of
from evals.records.record import SuiteRecord
from evals.running.conditions import RunConditions
from evals.running.evaluating import count_of, evaluate
from evals.running.fixtures import made
from evals.running.functions import open_desk_for
from evals.running.graders import choose_grader
from evals.running.grading import UNGRADED, Grading, begin_grading
from evals.running.options import RunOptions
from evals.running.progress import NoProgress, Progress
from evals.running.python_tasks import choose_from, load_tasks
from evals.running.task import build_task, choose_samples
from evals.running.watching import listening
from evals.suite.loading import Suite
from evals.suite.schema import SuiteSpec
from evals.target.model import product_model
from evals.target.opening import Target
from evals.target.product import Product
from server.settings import Settings


class SuiteRunner:
    """Runs suites on one product, or goes on with them."""

    def __init__(
        self,
        product: Product,
        target: Target,
        settings: Settings,
        options: RunOptions,
        progress: Progress | None = None,
    ) -> None:
        self._product = product
        self._target = target
        self._options = options
        self._progress = progress or NoProgress()
        self._conditions = RunConditions(target, settings, options)
        self._logs: Mapping[Place, KeptLog] = {}

    async def run(self, suites: Sequence[Suite]) -> AsyncIterator[SuiteRecord]:
        """Yields a record for each suite and model, as they come.

        Raises:
            TargetFailed: What a suite needs cannot be made.
            UsageMistake: A suite has no sample such as was asked for.
            CancelledError: It was stopped; the logs hold what there is.
        """
        if self._options.goes_on:
            self._logs = await newest_logs(self._options.folder)
        for suite_number, suite in enumerate(suites):
            for model_number in range(len(self._options.models)):
                place = Place(suite=suite_number, model=model_number)
                for record in await self._run(suite, place):
                    yield record

    async def _run(self, suite: Suite, place: Place) -> list[SuiteRecord]:
        """One record, or one for each task of a Python file."""
        spec = suite.spec
        if spec is None:
            tasks = [choose_from(each, self._options.tags) for each in load_tasks(suite.path)]
            return [
                await self._record(suite, replace(place, task=number), task, epochs=1)
                for number, task in enumerate(tasks)
            ]
        before = await self._before(place)
        if before and before.is_whole:
            return [before.record]
        samples = choose_samples(suite, tags=self._options.tags, limit=self._options.limit)
        grading = await self._grading(suite, spec, place)
        async with (
            made(self._product, spec.fixtures, suite.path.parent) as keys,
            open_desk_for(samples, self._product, self._target) as desk,
        ):
            task = build_task(
                suite,
                spec,
                self._product,
                keys=keys,
                samples=samples,
                cache=self._conditions.cache(suite),
                desk=desk,
                grader=grading.grader,
            )
            return [await self._record(suite, place, task, epochs=spec.epochs, grading=grading)]

    async def _record(
        self,
        suite: Suite,
        place: Place,
        task: Task,
        *,
        epochs: int,
        grading: Grading = UNGRADED,
    ) -> SuiteRecord:
        before = await self._before(place)
        if before and before.is_whole:
            return before.record
        model = self._options.models[place.model]
        epochs = self._options.epochs or epochs
        label = LogLabel(
            place=place,
            leg=before.label.leg + 1 if before else 1,
            description=suite.description,
            conditions=self._conditions.of(suite, model, epochs=epochs, grader=grading.name),
            thresholds=_thresholds(suite.spec),
            notes=self._options.notes if before else (),
            agreements=grading.agreements,
        )
        had = before.record.attempts if before else ()
        self._progress.begin(
            f"{task.name} · {label.conditions.model}",
            total=count_of(task, label, self._options),
            kept=[each for each in had if each.error is None],
        )
        try:
            with listening(self._progress.take):
                log = await evaluate(
                    task,
                    product_model(self._product, model),
                    label,
                    options=self._options,
                    concurrency=self._target.concurrency,
                    before=before,
                )
        finally:
            self._progress.end()
        return record_of(label, log)

    async def _before(self, place: Place) -> OpenedLog | None:
        kept = self._logs.get(place)
        return await kept.open() if kept else None

    async def _grading(self, suite: Suite, spec: SuiteSpec, place: Place) -> Grading:
        """Who grades answers, for a suite with scorers that ask."""
        if not spec.needs_grader:
            return UNGRADED
        model = self._options.models[place.model]
        chosen = choose_grader(
            self._options.grader,
            self._product,
            model=model,
            called=self._conditions.called(model),
            concurrency=self._target.concurrency,
        )
        kept = self._logs.get(place)
        return await begin_grading(suite, spec, chosen, kept.label if kept else None)


def _thresholds(spec: SuiteSpec | None) -> dict[str, dict[str, float | None]]:
    if spec is None:
        return {}
    return {name: each.model_dump() for name, each in spec.thresholds.items()}
