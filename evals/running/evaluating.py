"""A task put by Inspect, from the beginning or from where an earlier log ends."""

import asyncio

from inspect_ai import Task, eval_async
from inspect_ai._eval.task import PreviousTask  # the one way to go on with a task made here
from inspect_ai.log import EvalLog
from inspect_ai.model import Model

from evals.records.logs import LogLabel, OpenedLog, read_answers
from evals.running.options import RunOptions

WRITES_PER_LOG = 200
"""Each writes the whole log anew. Of so many samples one that has an answer is in the file at once;
of more, `kill -9` takes the last few answers along."""


async def evaluate(
    task: Task,
    model: Model,
    label: LogLabel,
    *,
    options: RunOptions,
    concurrency: int,
    before: OpenedLog | None,
) -> EvalLog:
    """Puts the samples that have no answer; returns the log of all.

    Raises:
        CancelledError: It was stopped; the log holds what there is.
    """
    logs = await eval_async(
        _going_on(task, model, before) if before else task,
        model=model,
        epochs=label.conditions.epochs,
        limit=options.limit,
        max_samples=concurrency,
        log_dir=str(options.folder),
        log_format="eval",
        log_realtime=False,
        log_buffer=max(1, count_of(task, label, options) // WRITES_PER_LOG),
        fail_on_error=False,
        ctl_server=False,
        score_display=False,
        tags=list(options.tags) or None,
        metadata=label.as_metadata(),
    )
    if not logs or logs[0].status == "cancelled":
        raise asyncio.CancelledError  # Inspect has taken it for itself, and written the log
    # The samples of the log at hand are read when they are looked at, by way of patching the
    # running loop, which may be that of the product.
    return await read_answers(logs[0].location) if logs[0].location else logs[0]


def count_of(task: Task, label: LogLabel, options: RunOptions) -> int:
    """How many answers there will be."""
    samples = len(task.dataset)
    return min(samples, options.limit or samples) * label.conditions.epochs


def _going_on(task: Task, model: Model, before: OpenedLog) -> PreviousTask:
    """The task with what an earlier log has: samples with an answer are taken over as they are."""
    return PreviousTask(
        id=before.log.eval.task_id,
        task=task,
        task_args={},
        model=model,
        model_roles=None,
        sandbox=None,
        log=before.log,
        log_info=before.info,
    )
