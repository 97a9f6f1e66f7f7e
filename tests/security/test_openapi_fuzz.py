"""Schemathesis over the OpenAPI document: what is documented is answered, and never a 500."""

import asyncio
import functools
from collections.abc import Iterator, Mapping

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fixtures.product import Product

EXAMPLES = 2
"""For each operation and each kind of input."""
REQUEST_TIMEOUT_SECONDS = 20
NEVER_CALLED = {
    "DELETE /v1/account": "would end the account that the walk is made with",
    "GET /v1/auth/oidc/login": "leads to a provider, which this installation has not",
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


class Walk:
    """Calls every operation of the document and keeps what went wrong."""

    def __init__(self, product: Product, headers: Mapping[str, str]) -> None:
        self.called: set[str] = set()
        self.faults: list[str] = []
        self._product = product
        self._headers = dict(headers)

    def run(self, mode: GenerationMode) -> None:
        """Call all, each as often as `EXAMPLES` says."""
        for operation in self._operations():
            call = hypothesis.given(case=operation.as_strategy(generation_mode=mode))(self._call)
            bounded = hypothesis.settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            try:
                bounded(call)()
            except Unsatisfiable:  # nothing about it can be wrong, as it takes nothing
                continue

    def _operations(self) -> Iterator[APIOperation]:
        document = self._product.app.openapi()
        schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig())
        schema.config.update(base_url=self._product.url)
        for found in schema.get_all_operations():
            operation = found.ok()
            if operation.label not in NEVER_CALLED:
                yield operation

    def _call(self, case: Case) -> None:
        self.called.add(case.operation.label)
        try:
            case.call_and_validate(
                headers=self._headers, checks=CHECKS, timeout=REQUEST_TIMEOUT_SECONDS
            )
        except FailureGroup as group:
            self.faults.append(f"{case.operation.label}: {group.exceptions}")


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
async def test_what_is_documented_is_what_is_answered(product: Product, mode: GenerationMode):
    walk = Walk(product, {"Authorization": f"Bearer {product.secrets.root_api_key}"})

    await asyncio.to_thread(functools.partial(walk.run, mode))

    assert walk.faults == []
    assert len(walk.called) > 20
