"""The product as a model of Inspect's: tasks written for any model can be put to it."""

from typing import Any
from uuid import uuid4

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo
from typing_extensions import override

from evals.errors import UsageMistake
from evals.target.answer import Answer, Question, dump_answer
from evals.target.product import Product

PROVIDER = "youworker"
DEFAULT_MODEL = "default"
"""The installation's own."""


@modelapi(name=PROVIDER)
class ProductModel(ModelAPI):
    """Asks the product the last message, in a session of its own."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 - as Inspect declares it
        **model_args: Any,
    ) -> None:
        """Args: model_args: `product`, which is asked."""
        super().__init__(model_name, base_url, api_key, [], config)
        self._product: Product = model_args["product"]

    @override
    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        if tools:
            raise UsageMistake("the product has its own tools: add them as MCP servers instead.")
        question = next(
            (each for each in reversed(input) if isinstance(each, ChatMessageUser)), None
        )
        if question is None:
            raise UsageMistake("a task asks the product nothing: there is no user's message.")
        answer = await self._product.ask(
            Question(
                text=question.text,
                session_id=f"eval-{uuid4().hex}",
                model=chosen_model(self.model_name),
            )
        )
        return as_output(answer, self.model_name)


def product_model(product: Product, name: str | None) -> Model:
    """The product with one of its models."""
    api = ProductModel(name or DEFAULT_MODEL, product=product)
    return Model(api, GenerateConfig())


def chosen_model(name: str) -> str | None:
    """What a request names; None for the installation's own."""
    return None if name == DEFAULT_MODEL else name


def as_output(answer: Answer, model: str) -> ModelOutput:
    """An answer in Inspect's terms."""
    usage = ModelUsage(
        input_tokens=answer.tokens_in,
        output_tokens=answer.tokens_out,
        total_tokens=answer.tokens_in + answer.tokens_out,
    )
    message = ChatMessageAssistant(content=answer.content, source="generate", model=model)
    return ModelOutput(
        model=model,
        choices=[ChatCompletionChoice(message=message, stop_reason="stop")],
        usage=usage,
        time=answer.seconds,
        metadata={"answer": dump_answer(answer)},
    )
