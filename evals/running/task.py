"""A suite as a task of Inspect's."""

from collections.abc import Mapping, Sequence

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageUser
from inspect_ai.scorer import Scorer

from evals.errors import UsageMistake
from evals.scorers.scoring import EXPECT, as_scorer
from evals.suite.loading import Suite
from evals.suite.schema import SampleSpec, SuiteSpec
from evals.target.product import Product
from evals.target.solver import ask_product


def build_task(
    suite: Suite,
    spec: SuiteSpec,
    product: Product,
    *,
    keys: Mapping[str, str],
    samples: Sequence[SampleSpec],
) -> Task:
    """The task that puts these samples to the product."""
    return Task(
        name=suite.name,
        dataset=MemoryDataset([as_sample(each) for each in samples], name=suite.name),
        solver=ask_product(product, keys),
        scorer=build_scorers(spec),
        time_limit=spec.limits.seconds,
        fail_on_error=False,  # an error is counted as one; the other samples go on
    )


def build_scorers(spec: SuiteSpec) -> list[Scorer]:
    """What judges the answers of a suite."""
    return [
        as_scorer(each.name, each.kind.build(each.kind.options.model_validate(each.options)))
        for each in spec.scorers
    ]


def as_sample(spec: SampleSpec) -> Sample:
    """A sample as Inspect has it."""
    messages: list[ChatMessage] = [ChatMessageUser(content=text) for text in spec.input]
    return Sample(
        id=spec.id,
        input=spec.input[0] if len(spec.input) == 1 else messages,
        target=spec.target,
        metadata={
            "user": spec.user,
            "tools": spec.tools,
            "tags": spec.tags,
            EXPECT: spec.expect.model_dump(mode="json", exclude_none=True),
        },
    )


def choose_samples(
    suite: Suite, *, tags: Sequence[str] = (), limit: int | None = None
) -> list[SampleSpec]:
    """Those with any of the tags, the first ones of them.

    Raises:
        UsageMistake: There is none.
    """
    chosen = [each for each in suite.samples if not tags or set(tags) & set(each.tags)]
    if not chosen:
        known = sorted({tag for each in suite.samples for tag in each.tags})
        raise UsageMistake(
            f"suite {suite.name!r} has no sample with these tags; there are {known}."
        )
    return chosen[:limit]
