"""Reordering passages by a model that reads question and passage together."""

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import aiohttp
import orjson
from typing_extensions import override

from persistence.ranking.errors import RerankError
from persistence.settings import RerankSettings

CONNECT_TIMEOUT_SECONDS = 2.0

_OK = 200
_OTHER_WORDING = frozenset({400, 422})


class Reranker(Protocol):
    """One model that says how well a text answers a question."""

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers, from 0 to 1, in the order of the texts.

        Raises:
            RerankError: The model could not be reached in time or answered nonsense.
        """
        ...


class HttpReranker(Reranker):
    """`Reranker` over the `/rerank` of Jina, Cohere, vLLM and llama.cpp, and that of TEI.

    Use as an async context manager. A server that wants TEI's wording (`texts`, a bare list) is
    recognised by its refusal of the other.
    """

    def __init__(self, settings: RerankSettings) -> None:
        if settings.rerank_url is None:
            raise RerankError("no address of a reranker is configured")
        url = settings.rerank_url.rstrip("/")
        self._url = url if urlsplit(url).path else f"{url}/rerank"
        self._model = settings.rerank_model
        self._timeout = aiohttp.ClientTimeout(
            total=settings.rerank_timeout_seconds, sock_connect=CONNECT_TIMEOUT_SECONDS
        )
        key = settings.rerank_api_key
        self._headers = {"Content-Type": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key.get_secret_value()}"
        self._wants_texts = False
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @override
    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        if not texts:
            return []
        status, answer = await self._post(self._body(query, texts))
        if status in _OTHER_WORDING and not self._wants_texts:
            self._wants_texts = True
            status, answer = await self._post(self._body(query, texts))
            self._wants_texts = status == _OK
        if status != _OK:
            raise RerankError(f"the reranker answered with status {status}")
        return _scores(answer, len(texts))

    def _body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        if self._wants_texts:
            return {"query": query, "texts": list(texts), "truncate": True}
        body = {"query": query, "documents": list(texts), "top_n": len(texts)}
        return body if self._model is None else {"model": self._model, **body}

    async def _post(self, body: dict[str, Any]) -> tuple[int, Any]:
        if self._session is None:
            raise RerankError("the reranker was not opened")
        try:
            async with self._session.post(
                self._url, data=orjson.dumps(body), allow_redirects=False
            ) as response:
                content = await response.read()
                return response.status, orjson.loads(content) if response.status == _OK else None
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise RerankError(f"the reranker does not answer ({type(exc).__name__})") from exc
        except (orjson.JSONDecodeError, UnicodeError, TypeError) as exc:
            raise RerankError("the reranker did not answer in JSON") from exc


def _scores(answer: Any, count: int) -> list[float]:
    try:
        found = answer["results"] if isinstance(answer, dict) else answer
        by_index = {each["index"]: _score(each) for each in found}
        scores = [by_index[index] for index in range(count)]
    except (KeyError, TypeError, ValueError) as exc:
        raise RerankError("the reranker did not score every passage") from exc
    if not all(map(math.isfinite, scores)):
        raise RerankError("the reranker scored with something that is no number")
    if all(0.0 <= score <= 1.0 for score in scores):
        return scores
    return [_logistic(score) for score in scores]  # llama.cpp passes on what the model said


def _logistic(score: float) -> float:
    return 1 / (1 + math.exp(-score)) if score >= 0 else math.exp(score) / (1 + math.exp(score))


def _score(result: dict[str, Any]) -> float:
    return float(result["relevance_score"] if "relevance_score" in result else result["score"])
