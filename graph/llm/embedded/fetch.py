"""`python -m graph.llm.embedded.fetch [MODEL]`: fetches the weights before they are needed."""

import asyncio
import sys

from graph.llm.embedded.errors import WeightsUnavailable
from graph.llm.embedded.model_files import prepare_models, prepare_speech_model
from graph.llm.embedded.settings import EmbeddedModelSettings


def main() -> None:
    """Fetches what is missing, with progress; ends with one sentence when it cannot."""
    chosen = {"chat_model": sys.argv[1]} if len(sys.argv) > 1 else {}
    settings = EmbeddedModelSettings.model_validate(chosen)
    try:
        asyncio.run(_fetch(settings))
    except WeightsUnavailable as exc:
        sys.exit(str(exc))
    except KeyboardInterrupt:
        sys.exit(130)


async def _fetch(settings: EmbeddedModelSettings) -> None:
    models_dir = settings.cache_dir / "models"
    await prepare_models(settings.chat_model, models_dir=models_dir, report=_say)
    await prepare_speech_model(models_dir=models_dir, report=_say)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    main()
