"""The passages of an answer in full: its events show their beginnings, and scorers need all."""

from dataclasses import replace

from evals.errors import TargetFailed
from evals.target.answer import Answer, FoundSource
from evals.target.product import Product


async def with_texts(product: Product, answer: Answer, *, key: str | None) -> Answer:
    """The answer with the texts of its sources, opened as who has asked.

    Raises:
        TargetFailed: The product is away.
    """
    opened = [await _opened(product, each, key) for each in answer.sources]
    return replace(answer, sources=tuple(opened)) if opened else answer


async def _opened(product: Product, source: FoundSource, key: str | None) -> FoundSource:
    if not source.id:
        return source
    try:
        found = await product.request("GET", f"/v1/sources/{source.id}", key=key)
    except TargetFailed as exc:
        if exc.code is None:
            raise
        return source  # it is gone by now: its beginning has to do
    return replace(source, text=found["text"])
