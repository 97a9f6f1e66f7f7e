"""How commands end when something goes wrong that nobody has foreseen."""

import errno

import pytest
import typer

from evals.cli.ending import EXIT_INFRASTRUCTURE, ending


def end(error):
    with pytest.raises(typer.Exit) as ended, ending():
        raise error
    return ended.value.exit_code


def test_a_full_disk_is_told_in_a_sentence_and_is_not_below_a_threshold(capsys):
    assert end(OSError(errno.ENOSPC, "No space left on device", "/x")) == EXIT_INFRASTRUCTURE
    assert capsys.readouterr().err == "youworker eval: /x: No space left on device.\n"


def test_what_nobody_foresaw_is_told_with_its_place_and_is_not_below_a_threshold(capsys):
    assert end(ValueError("odd")) == EXIT_INFRASTRUCTURE
    told = capsys.readouterr().err
    assert "test_ending.py" in told
    assert "ValueError: odd" in told.splitlines()[-1]


def test_an_end_that_was_chosen_stays_as_it_is():
    assert end(typer.Exit(1)) == 1
