"""Comparisons of runs that are large."""

from evals.records.comparison import compare_suites
from tests.unit.evals.records import attempt, suite_record


class CountedName(str):
    """A sample's name that counts how often it is held against another one."""

    __slots__ = ()
    held = 0

    def __eq__(self, other):
        CountedName.held += 1
        return super().__eq__(other)

    __hash__ = str.__hash__


def names_held_by(samples):
    """How often comparing two runs of so many samples holds one name against another."""
    before, after = (
        suite_record(*(attempt(CountedName(f"s{number}")) for number in range(samples)))
        for _ in range(2)
    )
    CountedName.held = 0
    assert compare_suites(before, after).missing == ()
    return CountedName.held


def test_ten_times_the_samples_take_ten_times_the_work():
    assert 0 < names_held_by(300) < 12 * names_held_by(30)
