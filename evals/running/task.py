"""A suite as a task of Inspect's."""

from collections.abc import Mapping, Sequence

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageUser
from inspect_ai.scorer import Scorer
from inspect_ai.solver import Solver

from evals.errors import UsageMistake
from evals.running.function_solver import FUNCTIONS, ask_with_functions
from evals.running.functions import FunctionDesk
from evals.scorers.review import SAFETY, reviewed_by
from evals.scorers.scoring import as_scorer
from evals.suite.loading import Suite
from evals.suite.schema import SampleSpec, SuiteSpec
from evals.target.caching import AnswerCache
from evals.target.grader import Grader
from evals.target.limits import AnswerLimits
from evals.target.product import Product
from evals.target.solver import EXPECT, ask_product


def build_task(
    suite: Suite,
    spec: SuiteSpec,
    product: Product,
    *,
    keys: Mapping[str, str],
    samples: Sequence[SampleSpec],
    cache: AnswerCache | None = None,
    grader: Grader | None = None,
    desk: FunctionDesk | None = None,
) -> Task:
    """The task that puts these samples to the product."""
    judges = [(e.name, e.kind.judge(e.options)) for e in spec.scorers if e.name in SAFETY]
    review = reviewed_by(judges)
    limits = AnswerLimits(**spec.limits.model_dump(exclude={"seconds"}))

    def ask(asked: Product) -> Solver:
        return ask_product(
            asked, keys, folder=suite.path.parent, limits=limits, cache=cache, review=review
        )

    return Task(
        name=suite.name,
        dataset=MemoryDataset([as_sample(each) for each in samples], name=suite.name),
        solver=ask_with_functions(product, desk, ask) if desk else ask(product),
        scorer=build_scorers(spec, grader=grader),
        time_limit=spec.limits.seconds,
        fail_on_error=False,  # an error is counted as one; the other samples go on
    )


def build_scorers(spec: SuiteSpec, *, grader: Grader | None = None) -> list[Scorer]:
    """What judges the answers of a suite.

    Raises:
        UsageMistake: One asks a grader, and there is none.
    """
    return [as_scorer(each.name, each.kind.judge(each.options, grader)) for each in spec.scorers]


def as_sample(spec: SampleSpec) -> Sample:
    """A sample as Inspect has it."""
    texts = [text * spec.repeat for text in spec.input]
    messages: list[ChatMessage] = [ChatMessageUser(content=text) for text in texts]
    functions = [each.model_dump(mode="json") for each in spec.functions]
    return Sample(
        id=spec.id,
        input=texts[0] if len(texts) == 1 else messages,
        target=spec.target,
        metadata={
            "user": spec.user,
            "tools": spec.tools,
            "at_once": spec.at_once,
            "audio": spec.audio,
            "images": spec.images,
            "tags": spec.tags,
            EXPECT: spec.expect.model_dump(mode="json", exclude_none=True),
            **({FUNCTIONS: functions} if functions else {}),
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
