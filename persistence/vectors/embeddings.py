"""Texts to vectors, by any server that speaks Ollama's protocol."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp
import orjson
from pydantic import SecretStr
from typing_extensions import override

from persistence.vectors.errors import EmbeddingError

CONNECT_TIMEOUT_SECONDS = 5.0
REQUEST_TIMEOUT_SECONDS = 120.0
BATCH_TEXTS = 32

_OK = 200
_NOT_FOUND = 404


class Embedder(Protocol):
    """One embedding model."""

    @property
    def model(self) -> str:
        """The model's name, by which an index knows whose vectors it holds."""
        ...

    @property
    def dimension(self) -> int:
        """How many components each vector has."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in order.

        Raises:
            EmbeddingError: the model could not be reached or answered nonsense.
        """
        ...


class OllamaEmbedder(Embedder):
    """`Embedder` over `POST /api/embed`; use as an async context manager.

    Entering asks the model for one vector, so that a missing model shows at the start.
    """

    def __init__(self, base_url: str, model: str, api_key: SecretStr | None = None) -> None:
        self._model = model.removesuffix(":latest")
        self._url = f"{base_url.rstrip('/')}/api/embed"
        self._headers = {"Authorization": f"Bearer {api_key.get_secret_value()}"} if api_key else {}
        self._session: aiohttp.ClientSession | None = None
        self._dimension: int | None = None

    @property
    @override
    def model(self) -> str:
        return self._model

    @property
    @override
    def dimension(self) -> int:
        if self._dimension is None:
            raise EmbeddingError("the embedder was not opened")
        return self._dimension

    @override
    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH_TEXTS):
            vectors.extend(await self._embed_batch(texts[start : start + BATCH_TEXTS]))
        return vectors

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(
            total=REQUEST_TIMEOUT_SECONDS, sock_connect=CONNECT_TIMEOUT_SECONDS
        )
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        try:
            [probe] = await self.embed(["dimension"])
        except BaseException:
            await self._session.close()
            raise
        self._dimension = len(probe)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def _embed_batch(self, texts: Sequence[str]) -> list[list[float]]:
        answer = await self._post({"model": self._model, "input": list(texts), "truncate": True})
        vectors = answer.get("embeddings")
        if not isinstance(vectors, list) or len(vectors) != len(texts):
            raise EmbeddingError(f"{self._model!r} did not answer with one vector per text")
        lengths = {len(vector) if isinstance(vector, list) else 0 for vector in vectors}
        expected = {self._dimension} if self._dimension else lengths
        if len(lengths) != 1 or lengths != expected or 0 in lengths:
            raise EmbeddingError(f"{self._model!r} answered with vectors of unexpected length")
        if not all(isinstance(each, int | float) for vector in vectors for each in vector):
            raise EmbeddingError(f"{self._model!r} answered with vectors of other than numbers")
        return vectors

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        if self._session is None:
            raise EmbeddingError("the embedder was not opened")
        try:
            async with self._session.post(
                self._url,
                data=orjson.dumps(body),
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
            ) as response:
                content = await response.read()
                if response.status == _NOT_FOUND:
                    raise EmbeddingError(
                        f"the models' server has no {self._model!r}: have it there first, "
                        f"with Ollama by 'ollama pull {self._model}'"
                    )
                if response.status != _OK:
                    raise EmbeddingError(
                        f"{self._model!r} answered an embedding with status {response.status}"
                    )
                answer = orjson.loads(content)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise EmbeddingError(
                f"the embedding model {self._model!r} does not answer ({type(exc).__name__})"
            ) from exc
        except (orjson.JSONDecodeError, UnicodeError, TypeError) as exc:
            raise EmbeddingError(f"{self._model!r} did not speak Ollama's protocol") from exc
        if not isinstance(answer, dict):
            raise EmbeddingError(f"{self._model!r} did not speak Ollama's protocol")
        return answer
