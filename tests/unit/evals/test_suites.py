"""Suites and samples: what is read, and what is said of faults."""

import json

import pytest

from evals.errors import SuiteInvalid, UsageMistake
from evals.suite.loading import find_suite, own_suites, read_suite
from evals.suite.samples import read_samples

SUITE = """\
name: mine
description: One of mine.
samples: samples.jsonl
scorers:
  - includes
  - tool_trajectory: {mode: subset}
thresholds:
  passed: 0.5
  includes: {at_least: 0.9}
"""
SAMPLE = {"id": "one", "input": "What?", "target": "That", "expect": {"calls": []}}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "samples.jsonl").write_text(json.dumps(SAMPLE), "utf-8")
    return tmp_path


def read(folder, text=SUITE):
    path = folder / "suite.yaml"
    path.write_text(text, "utf-8")
    return read_suite(path)


def fault(folder, text):
    with pytest.raises(SuiteInvalid) as refused:
        read(folder, text)
    return str(refused.value).replace(f"{folder}/", "")


def test_a_suite_is_read_with_its_samples(folder):
    suite = read(folder)
    assert (suite.name, [each.id for each in suite.samples]) == ("mine", ["one"])
    assert [(each.name, each.options) for each in suite.spec.scorers] == [
        ("includes", {}),
        ("tool_trajectory", {"mode": "subset"}),
    ]
    assert suite.spec.thresholds["passed"].at_least == 0.5
    assert suite.samples[0].input == ["What?"]
    assert suite.samples[0].expect.calls == []


def test_a_folder_is_found_by_its_path(folder):
    read(folder)
    assert find_suite(str(folder)).name == "mine"


def test_a_suite_that_is_not_there_is_told_with_what_there_is():
    with pytest.raises(UsageMistake, match="no suite 'smoek'; did you mean 'smoke'"):
        find_suite("smoek")


@pytest.mark.parametrize("name", own_suites())
def test_the_products_own_suites_can_be_read(name):
    assert find_suite(name).name == name


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("includes", "inclodes"), "line 5: scorers.0 there is no scorer 'inclodes'; did you mean"),
        (("subset", "sub"), "line 6: scorers.1"),
        (("passed:", "pased:"), "there is no metric 'pased'; did you mean 'passed'?"),
        (("description:", "descr:"), "line 2: descr is not known here; did you mean 'description'"),
        (("name: mine\n", ""), "line 1: name is missing: add it"),
        (("samples.jsonl", "gone.jsonl"), "gone.jsonl: cannot be read"),
        (("samples.jsonl", "samples.txt"), "samples.txt: samples are in files of .jsonl"),
        (("scorers:", "scorers: ["), "suite.yaml, line "),
        (("at_least: 0.9", ""), "line 9: thresholds.includes give a number, at_least or at_most"),
    ],
)
def test_a_fault_is_named_with_its_file_line_and_remedy(folder, change, told):
    assert told in fault(folder, SUITE.replace(*change, 1))


def test_all_faults_are_told_at_once(folder):
    told = fault(folder, SUITE.replace("includes\n", "inclodes\n").replace("name: mine\n", ""))
    assert len(told.splitlines()) == 2


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"id": "two"}', "line 2: input is missing"),
        ('{"id": "one", "input": "x"}', "line 2: id 'one' is there already"),
        ("{", "line 2: no JSON"),
        ('{"id": "two", "input": "x", "expect": {"cals": []}}', "did you mean 'calls'?"),
        ('{"id": "two", "input": "x", "expect": {"pattern": "("}}', "is no regular expression"),
        ('{"id": "two", "input": "x", "expect": {"schema": {"type": 3}}}', "is no JSON schema"),
        ('{"id": "two", "input": "x", "user": "anna"}', "add this user to fixtures.users"),
    ],
)
def test_a_fault_of_a_sample_is_named(folder, line, told):
    path = folder / "samples.jsonl"
    path.write_text(f"{json.dumps(SAMPLE)}\n{line}\n", "utf-8")
    assert told in fault(folder, SUITE)


def test_samples_are_read_from_csv(tmp_path):
    path = tmp_path / "samples.csv"
    path.write_text(
        "id,input,target,tags,expect\n"
        'a,"What, then?",this|that,x,\n'
        'b,Really?,,,"{""refusal"": true}"\n',
        "utf-8",
    )
    first, second = read_samples(path)
    assert (first.input, first.target, first.tags) == (["What, then?"], ["this", "that"], ["x"])
    assert (second.expect.refusal, second.tags) == (True, [])


def test_samples_are_read_from_yaml_and_may_be_numbers(tmp_path):
    path = tmp_path / "samples.yaml"
    path.write_text("- id: 1\n  input: [Hello, 'And now?']\n  target: 42\n", "utf-8")
    [sample] = read_samples(path)
    assert (sample.id, sample.input, sample.target) == ("1", ["Hello", "And now?"], ["42"])


def test_a_fault_of_a_sample_in_the_suite_itself_has_its_line(folder):
    text = SUITE.replace("samples: samples.jsonl", "samples:\n  - id: x\n    inptu: What?")
    assert "suite.yaml, line 4: " in fault(folder, text)


def test_documents_have_to_be_there(folder):
    text = SUITE + "fixtures:\n  documents:\n    - path: gone.md\n"
    assert "line 12: there is no file 'gone.md'" in fault(folder, text)


def test_owners_and_groups_have_to_be_listed(folder):
    text = SUITE + "fixtures:\n  groups: {staff: [anna]}\n"
    assert "unknown users ['anna']: list them in 'users'" in fault(folder, text)
