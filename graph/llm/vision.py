"""Which of the offered models take images."""

from collections.abc import Collection

from graph.errors import ModelError
from graph.llm.chat_model import ChatModels
from graph.llm.ollama import OllamaChat

_VISION = "vision"


class VisionModels:
    """Knows it from the settings, or asks Ollama once for each model."""

    def __init__(self, models: ChatModels, *, declared: Collection[str]) -> None:
        self._models = models
        self._known = {spec: True for spec in models.by_spec if spec in declared}

    async def takes_images(self, spec: str) -> bool | None:
        """Whether the model does; None when its server does not tell.

        Raises:
            ModelError: Its server does not answer, or does not know it.
        """
        if spec not in self._known:
            model = self._models.by_spec[spec]
            if not isinstance(model, OllamaChat):
                return None  # OpenAI's protocol has no word for it
            capabilities = await model.wire.read_capabilities(model.model)
            if capabilities is None:
                return None
            self._known[spec] = _VISION in capabilities
        return self._known[spec]

    async def list_able(self) -> list[str]:
        """The models that are known to take images."""
        able = []
        for spec in self._models.by_spec:
            try:
                if await self.takes_images(spec):
                    able.append(spec)
            except ModelError:
                continue  # one server that is down says nothing of the others
        return sorted(able)
