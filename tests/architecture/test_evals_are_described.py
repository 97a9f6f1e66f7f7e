"""What docs/evals.md says of suites, scorers and commands is held to the code."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup

from evals.cli.app import app
from evals.scorers.catalogue import JUDGES
from evals.suite.labelled import LabelledAnswer
from evals.suite.loading import find_suite, own_suites
from evals.suite.schema import SampleSpec, SuiteSpec

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "evals.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
REST_OF_SUITE = {"name": "mine", "description": "One of mine.", "samples": "samples.jsonl"}
IN_WORDS = {("refusal", "patterns"), ("clean_answer", "instructions")}
"""Options whose default is told in words."""


def blocks(kind: str) -> list[Any]:
    return [text for found, text in BLOCKS if found == kind]


def rows(heading: str) -> list[list[str]]:
    table = DOCUMENT[DOCUMENT.index(heading) :].split("\n\n")[0]
    lines = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return [[cell.strip() for cell in line] for line in lines]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml_is_a_suite_or_part_of_one_or_samples(text):
    content = yaml.safe_load(text)
    if isinstance(content, list):
        assert [SampleSpec.model_validate(each) for each in content]
    else:
        SuiteSpec.model_validate(REST_OF_SUITE | content)


@pytest.mark.parametrize("text", blocks("json"))
def test_json_is_a_sample_or_a_labelled_answer(text):
    content = json.loads(text)
    (LabelledAnswer if "label" in content else SampleSpec).model_validate(content)


def commands_told() -> list[str]:
    lines = [line.partition(" #")[0].strip() for each in blocks("sh") for line in each.splitlines()]
    told = [line for line in lines if line.startswith("youworker eval ")]
    return told + re.findall(r"`(youworker eval [^`]+)`", DOCUMENT)


@pytest.mark.parametrize("line", sorted(set(commands_told())))
def test_commands_and_their_options_are_there(line):
    name, *rest = shlex.split(re.sub(r"[\[\]]", "", line))[2:]
    [command] = [each for each in commands() if each.name == name]
    known = {option for each in command.params for option in each.opts}
    assert {each for each in rest if each.startswith("--")} <= known


def test_every_command_is_told():
    told = {shlex.split(line)[2] for line in commands_told()}
    assert {each.name for each in commands()} <= told


def test_options_are_those_of_some_command():
    known = {option for each in commands() for held in each.params for option in held.opts}
    told = set(re.findall(r"(?<=[`\s])--[a-z][a-z-]*", DOCUMENT))
    assert told <= known


def test_every_scorer_is_in_the_table_and_none_else():
    assert sorted(name for row in rows("| scorer |") for name in quoted(row[0])) == sorted(JUDGES)


@pytest.mark.parametrize("row", rows("| scorer |"), ids=lambda row: row[0])
def test_options_of_scorers_are_told_with_their_defaults(row):
    told = [yaml.safe_load(each) for each in quoted(row[2])]
    given = {k: v for each in told if isinstance(each, dict) for k, v in each.items()}
    names = given.keys() | {each for each in told if isinstance(each, str)}
    for scorer in quoted(row[0]):
        fields = JUDGES[scorer].options.model_fields
        assert names == fields.keys()
        for name in names:
            held = fields[name].default
            if (scorer, name) not in IN_WORDS:
                assert as_told(given.get(name)) == as_told(held), name


def test_every_suite_is_in_the_table_with_its_samples():
    told = {quoted(suite)[0]: int(count) for suite, count, _ in rows("| suite |")}
    assert told == {name: len(find_suite(name).samples) for name in own_suites()}


def test_every_suite_has_a_part_of_its_own():
    parts = re.findall(r"^### `(\w+)`", DOCUMENT, re.MULTILINE)
    assert set(parts) == set(own_suites())


def test_what_is_imported_from_private_modules_is_in_the_decision():
    decision = next((ROOT / "docs" / "decisions").glob("0020-*")).read_text("utf-8")
    text = "\n".join(each.read_text("utf-8") for each in (ROOT / "evals").rglob("*.py"))
    private = set(re.findall(r"from (inspect_ai[\w.]*\._[\w.]+) import", text))
    assert private
    assert private <= set(quoted(decision))


def test_every_folder_of_evals_is_in_the_architecture():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    [row] = [line for line in text.splitlines() if line.startswith("| `evals/`")]
    folders = {each.parent.name for each in (ROOT / "evals").glob("*/__init__.py")}
    assert folders | {"suites"} == {
        each.strip("/") for each in quoted(row) if each.endswith("/")
    } - {"evals"}


def commands() -> list[Any]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return list(group.commands.values())


def as_told(value: Any) -> Any:
    """As YAML reads it: numbers in any notation, and sequences of whichever kind."""
    if isinstance(value, tuple):
        return list(value)
    try:
        return float(value)
    except (TypeError, ValueError):
        return value
