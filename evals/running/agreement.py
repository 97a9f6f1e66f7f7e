"""A grader put to answers that people have labelled."""

import asyncio
from collections.abc import Mapping, Sequence

from evals.errors import GraderFailed
from evals.records.agreement import AgreementRecord, LabelVerdict
from evals.scorers.model_graded import RubricOptions
from evals.scorers.verdict import Expectation, Judge, ask_judge
from evals.suite.labelled import LabelledAnswer
from evals.suite.schema import SuiteSpec
from evals.target.answer import Answer
from evals.target.grader import Grader


async def measure_agreements(
    spec: SuiteSpec, labelled: Mapping[str, Sequence[LabelledAnswer]], grader: Grader | None
) -> dict[str, AgreementRecord]:
    """How far the grader agrees with people, for each scorer of the suite that has labels."""
    return {
        each.name: await measure_agreement(
            each.kind.judge(each.options, grader),
            RubricOptions.model_validate(each.options),
            labelled[each.name],
        )
        for each in spec.scorers
        if each.name in labelled
    }


async def measure_agreement(
    judge: Judge, options: RubricOptions, labelled: Sequence[LabelledAnswer]
) -> AgreementRecord:
    """Has the judge judge them; a grader that fails is told of in the record."""
    failure: str | None = None
    try:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(_judged(judge, options, each)) for each in labelled]
    except* GraderFailed as failures:
        failure = str(failures.exceptions[0])
    if failure is not None:
        return AgreementRecord(failure=failure)
    return AgreementRecord(verdicts=tuple(each.result() for each in asked))


async def _judged(judge: Judge, options: RubricOptions, labelled: LabelledAnswer) -> LabelVerdict:
    said = await ask_judge(
        judge,
        Answer(content=labelled.answer),
        Expectation(target=labelled.target, question=[labelled.question]),
    )
    label = options.value_of(labelled.label)
    assert label is not None  # noqa: S101 - the suite was not read otherwise
    return LabelVerdict(
        id=labelled.id,
        question=labelled.question,
        answer=labelled.answer,
        label=label,
        given=said.value if said is not None and said.is_scored else None,
        explanation=said.explanation if said else "",
    )
