"""Suites put to a running product, and what comes of them."""

from itertools import count

import pytest
import pytest_asyncio

from evals.running.run import RunOptions, SuiteRunner
from evals.target.opening import Target, open_target
from tests.integration.evals.quiet import quiet


@pytest.fixture
def product(shared_product):
    """To which suites are put; a module may have one of its own."""
    return shared_product


@pytest_asyncio.fixture(loop_scope="module")
async def switch_off(product):
    """Takes tools away at the product, until the test ends."""
    client = product.client
    switched = []

    async def switch(*names):
        listed = (await client.get("/v1/tools", params={"limit": 100})).json()["tools"]
        paths = {each["name"]: f"/v1/tools/{each['id']}" for each in listed}
        for name in names:
            answer = await client.patch(paths[name], json={"enabled": False})
            assert answer.status_code == 200
            switched.append(paths[name])

    yield switch
    for path in switched:
        await client.patch(path, json={"enabled": True})


@pytest.fixture
def put(product, tmp_path):
    """Puts a suite to the product; returns the record."""
    runs = count()

    async def run(suite, *, concurrency=1, **options):
        key = product.secrets.root_api_key
        target = Target(url=product.url, key=key, concurrency=concurrency)
        options = RunOptions(folder=tmp_path / f"run{next(runs)}", **options)
        with quiet():
            async with open_target(target, product.settings) as reached:
                runner = SuiteRunner(reached, target, product.settings, options)
                [record] = [each async for each in runner.run([suite])]
        return record

    return run
