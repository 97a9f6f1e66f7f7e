"""One command at a time works on the folder of a run."""

import pytest

from evals.cli.holding import held
from evals.errors import UsageMistake


def test_a_run_that_is_going_is_not_gone_on_with(tmp_path):
    with held(tmp_path), pytest.raises(UsageMistake, match="is being run"), held(tmp_path):
        pytest.fail("two commands were let in")
    with held(tmp_path):
        pass


def test_another_run_can_go_on_meanwhile(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with held(tmp_path / "a"), held(tmp_path / "b"):
        pass
