"""What one call of the model costs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import orjson
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage

from graph.events import ModelCalled, Purpose
from graph.history import BYTES_PER_TOKEN, count_tokens


@dataclass(kw_only=True)
class ModelCost:
    """Counts what one call of the model costs, in case its server does not come to say."""

    model: BaseChatModel
    messages: Sequence[AnyMessage]
    schemas: Sequence[dict[str, object]]
    purpose: Purpose
    heard: int = 0
    """About how many tokens the model has written."""
    started: float = field(default_factory=time.perf_counter)

    def of(self, message: AIMessage | None) -> ModelCalled:
        """The cost of the call that brought this message, or was cut off."""
        usage = None if message is None else message.usage_metadata
        name = "" if message is None else message.response_metadata.get("model_name", "")
        return ModelCalled(
            model=name or _name_of(self.model),
            purpose=self.purpose,
            tokens_in=usage["input_tokens"] if usage else self._estimate_prompt(),
            tokens_out=usage["output_tokens"] if usage else self.heard,
            estimated=usage is None,
            latency_ms=round((time.perf_counter() - self.started) * 1000),
        )

    def of_failure(self) -> ModelCalled:
        """The cost of a call that failed; who has said nothing has most likely read nothing."""
        cost = self.of(None)
        return cost if self.heard else replace(cost, tokens_in=0)

    def _estimate_prompt(self) -> int:
        declared = len(orjson.dumps(self.schemas)) if self.schemas else 0
        return count_tokens(self.messages) + declared // BYTES_PER_TOKEN


def _name_of(model: BaseChatModel) -> str:
    return str(getattr(model, "model", None) or getattr(model, "model_name", ""))
