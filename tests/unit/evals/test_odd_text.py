"""Text that was made to break a report, and files that were made to break a reader."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from evals.cli.concluding import make_folder
from evals.errors import SuiteInvalid
from evals.records.gate import check_all
from evals.reports.junit import junit_report
from evals.reports.markdown import run_report
from evals.suite.yaml_places import read_yaml
from tests.unit.evals.records import attempt, run_record, suite_record


def test_the_folder_of_a_run_is_for_its_owner_alone(tmp_path):
    make_folder(tmp_path / "evals" / "run")
    assert (tmp_path / "evals").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "evals" / "run").stat().st_mode & 0o777 == 0o700


def test_what_a_model_said_is_no_markup_in_a_summary():
    record = suite_record(attempt("a", error="![x](http://y) <b> \u202e\x1b[2J | `c`"))
    told = run_report(check_all(run_record(record)))
    assert "\\!\\[x](http://y) \\<b> \\[2J \\| \\`c\\`" in told


def test_names_with_characters_that_xml_has_no_place_for_make_valid_xml():
    record = replace(suite_record(attempt("a\uffff\ufffe")), suite="mine\x07")
    [suite] = ET.fromstring(junit_report(check_all(run_record(record))))
    assert suite[0].get("name") == "a\ufffd\ufffd"


@pytest.mark.parametrize("text", ["a: \x07", "a: 2026-99-99", "&a [*a]", "[" * 3000])
def test_yaml_that_cannot_be_read_is_a_fault_of_the_suite(tmp_path, text):
    path = tmp_path / "suite.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(SuiteInvalid, match=r"suite\.yaml"):
        read_yaml(path)
