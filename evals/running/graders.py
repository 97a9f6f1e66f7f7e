"""Models that grade: one of the installation's, asked through the product, or one of Inspect's."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from inspect_ai.model import GenerateConfig, Model, ModelOutput, ModelUsage, get_model

from evals.errors import GraderFailed, TargetFailed, UsageMistake
from evals.target.answer import Question
from evals.target.grader import BoundedGrader, Grader
from evals.target.model import PROVIDER
from evals.target.product import Product

_OWN = f"{PROVIDER}/"
_MOCK = "mockllm/"


@dataclass(frozen=True, kw_only=True)
class NamedGrader:
    """A grader, and what records call it."""

    name: str
    grader: Grader


class ProductGrader:
    """A model of the installation: without tools, each prompt in a session of its own."""

    def __init__(self, product: Product, model: str | None) -> None:
        self._product = product
        self._model = model

    async def complete(self, prompt: str) -> str:
        """Its reply.

        Raises:
            GraderFailed: The product brings none.
        """
        question = Question(
            text=prompt,
            session_id=f"grade-{uuid4().hex}",
            model=self._model,
            enable_tools=False,
        )
        try:
            answer = await self._product.ask(question)
        except TargetFailed as exc:
            raise GraderFailed(f"the grader did not reply: {exc}", code=exc.code) from exc
        return answer.content


class InspectGrader:
    """Any model that Inspect can reach."""

    def __init__(self, model: Model) -> None:
        self._model = model

    async def complete(self, prompt: str) -> str:
        """Its reply.

        Raises:
            GraderFailed: Its provider brings none.
        """
        try:
            output = await self._model.generate(prompt)
        except Exception as exc:
            # Each provider fails in its own way.
            raise GraderFailed(f"the grader {self._model} did not reply: {exc}") from exc
        return output.completion


def choose_grader(
    name: str | None, product: Product, *, model: str | None, called: str, concurrency: int
) -> NamedGrader:
    """The model that was asked for; without a name, the one that is evaluated.

    Args:
        name: `NAME` or `youworker/NAME` of the installation, or `PROVIDER/NAME` of Inspect's.
        product: Whose models those of the installation are.
        model: The one that is evaluated.
        called: What records call that one.
        concurrency: How many prompts may be open at a time.

    Raises:
        UsageMistake: Inspect has no such provider, or it lacks something.
    """
    grader: Grader
    if name is None:
        told, grader = called, ProductGrader(product, model)
    elif not is_own_model(name):
        return inspect_grader(name, concurrency=concurrency)
    else:
        told = name.removeprefix(_OWN)
        grader = ProductGrader(product, told)
    return NamedGrader(name=told, grader=BoundedGrader(grader, concurrency=concurrency))


def is_own_model(name: str) -> bool:
    """Whether a grader is a model of the installation, and not one of Inspect's."""
    return "/" not in name or name.startswith(_OWN)


def inspect_grader(name: str, *, concurrency: int) -> NamedGrader:
    """A grader of Inspect's, `PROVIDER/NAME`.

    Raises:
        UsageMistake: There is no such provider, or it lacks something.
    """
    grader = InspectGrader(inspect_model(name))
    return NamedGrader(name=name, grader=BoundedGrader(grader, concurrency=concurrency))


def inspect_model(name: str) -> Model:
    """A model of Inspect's that is to grade, as evenly as it can.

    Raises:
        UsageMistake: There is no such provider, or it lacks something.
    """
    outputs: dict[str, Any] = {}
    if name.startswith(_MOCK):
        outputs["custom_outputs"] = _say_nothing
    try:
        return get_model(name, config=GenerateConfig(temperature=0.0), **outputs)
    except Exception as exc:
        # A provider lacks a key or a package; each says so with an error of its own.
        raise UsageMistake(
            f"--grader {name!r} cannot be used: {exc} Give PROVIDER/MODEL as Inspect names it, or "
            f"a model of the installation as NAME or {_OWN}NAME."
        ) from exc


def _say_nothing(*_: object) -> ModelOutput:
    """The mock model's reply, with its count: for one without, Inspect fetches a file to count."""
    output = ModelOutput.from_content("mockllm", "This model grades nothing.")
    output.usage = ModelUsage()
    return output
