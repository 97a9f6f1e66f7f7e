"""`python -m graph.llm.embedded.fetch [MODEL]`: fetches the weights before they are needed."""

import asyncio
import sys

from graph.llm.embedded.errors import WeightsUnavailable
from graph.llm.embedded.model_files import prepare_models
from graph.llm.embedded.settings import EmbeddedModelSettings


def main() -> None:
    """Fetches what is missing, with progress; ends with one sentence when it cannot."""
    chosen = {"chat_model": sys.argv[1]} if len(sys.argv) > 1 else {}
    settings = EmbeddedModelSettings.model_validate(chosen)
    try:
        asyncio.run(
            prepare_models(
                settings.chat_model,
                models_dir=settings.cache_dir / "models",
                report=lambda line: print(line, flush=True),  # noqa: T201 - a command
            )
        )
    except WeightsUnavailable as exc:
        sys.exit(str(exc))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
