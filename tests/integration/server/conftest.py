"""People of a shared product, new ones for each test."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fixtures.product import Product
from tests.integration.server.people import Person, open_person


@pytest_asyncio.fixture(loop_scope="module")
async def ada(shared_product: Product) -> AsyncIterator[Person]:
    async with open_person(shared_product, "ada") as person:
        yield person


@pytest_asyncio.fixture(loop_scope="module")
async def bob(shared_product: Product) -> AsyncIterator[Person]:
    async with open_person(shared_product, "bob") as person:
        yield person


@pytest_asyncio.fixture(loop_scope="module")
async def eve(shared_product: Product) -> AsyncIterator[Person]:
    async with open_person(shared_product, "eve") as person:
        yield person
