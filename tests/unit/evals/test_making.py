"""What `youworker eval new` makes."""

import pytest
from typer.testing import CliRunner

from evals.cli.app import app
from evals.suite.loading import find_suite


def new(*arguments):
    return CliRunner().invoke(app, ["new", *(str(each) for each in arguments)])


def test_what_is_made_is_a_suite_that_can_be_used_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = new("first-steps")
    assert (done.exit_code, "youworker eval run first-steps" in done.stdout) == (0, True)
    suite = find_suite("first-steps")
    assert (suite.name, len(suite.samples)) == ("first-steps", 3)
    assert "__NAME__" not in suite.path.read_text("utf-8")


def test_it_is_made_where_it_was_asked_for(tmp_path):
    assert new("mine", "--dir", tmp_path / "deep" / "down").exit_code == 0
    assert find_suite(str(tmp_path / "deep" / "down" / "mine")).name == "mine"


def test_what_is_there_is_not_touched(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "suite.yaml").write_text("my work", "utf-8")
    done = new("mine", "--dir", tmp_path)
    assert (done.exit_code, "is there already" in done.stderr) == (2, True)
    assert (tmp_path / "mine" / "suite.yaml").read_text("utf-8") == "my work"


@pytest.mark.parametrize("name", ["", "../up", "a/b", "Großes", "-x", "x" * 65, "a b", "mine\n"])
def test_what_is_no_name_is_refused(tmp_path, name):
    done = new("--dir", tmp_path, "--", name)
    assert (done.exit_code, "is no name for a suite" in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_one_of_the_products_suites_is_taken(tmp_path):
    assert "one of the product's own" in new("smoke", "--dir", tmp_path).stderr
