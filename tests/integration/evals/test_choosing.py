"""The command put on several models, and on some of a suite's samples."""

import asyncio

import pytest
import pytest_asyncio
import yaml

from evals.cli.running import RunRequest, run_suites
from evals.records.record import load_run
from tests.fakes.ollama_server import ScriptedOllama
from tests.fixtures.product import new_secrets, open_product, settings_for
from tests.integration.evals.quiet import run_quietly

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUITE = {
    "name": "mine",
    "description": "One of mine.",
    "scorers": ["includes"],
    "samples": [
        {"id": name, "input": f"Say {name}", "target": name, "tags": [tag]}
        for name, tag in (("one", "odd"), ("two", "even"), ("three", "odd"))
    ],
    "thresholds": {"includes@even": 1, "passed#three": 1},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_product(postgres_server, tmp_path_factory):
    """A product that may be asked for another model than its own."""
    database_url = postgres_server.lend()
    async with ScriptedOllama() as model:
        settings = settings_for(tmp_path_factory.mktemp("product"), database_url, model)
        llm = settings.llm.model_copy(update={"allowed_models": ("other",)})
        settings = settings.model_copy(update={"llm": llm})
        async with open_product(settings, new_secrets(), model) as running:
            yield running
    postgres_server.take_back(database_url)


@pytest.fixture
def run(shared_product, tmp_path):
    """Runs the suite; returns the exit code and the records."""
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(SUITE), "utf-8")

    async def run_it(**options):
        key, out = shared_product.secrets.root_api_key, tmp_path / "run"
        request = RunRequest(
            suites=(str(path),), url=shared_product.url, key=key, out=out, **options
        )
        code = await asyncio.to_thread(run_quietly, run_suites, request)
        return code, load_run(out).suites

    return run_it


def samples(record):
    return [each.sample for each in record.attempts]


async def test_several_models_are_asked_the_same_and_stand_side_by_side(
    run, shared_product, capsys
):
    begun = len(shared_product.model.requests)
    code, records = await run(models=("scripted", "other"), limit=1)
    assert code == 0
    assert [each.conditions.model for each in records] == ["scripted", "other"]
    assert [samples(each) for each in records] == [["one"], ["one"]]
    asked = [each.body["model"] for each in shared_product.model.requests[begun:]]
    assert list(dict.fromkeys(asked)) == ["scripted", "other"]
    table = capsys.readouterr().out
    assert "| scripted | 1.000 | 1.000 | 0 |" in table
    assert "| other | 1.000 | 1.000 | 0 |" in table


async def test_only_the_first_samples_are_put_and_the_rest_is_not_held_against_them(run):
    code, [record] = await run(limit=2)
    assert (code, samples(record)) == (0, ["one", "two"])
    assert record.conditions.selection == "the first 2"
    assert record.missing == 0


async def test_only_samples_with_a_tag_are_put_and_the_rest_is_not_held_against_them(run):
    code, [record] = await run(tags=("odd",), fail_under=("passed@odd=1",))
    assert (code, samples(record)) == (0, ["one", "three"])
