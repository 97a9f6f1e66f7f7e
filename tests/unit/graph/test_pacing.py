"""How often something is told."""

from graph.pacing import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_hour_is_told_of_to_its_end_and_not_too_often():
    clock = Clock()
    pace = Pace(50, gap_seconds=0.2, doubles_every=5, clock=clock)
    told = []
    for _ in range(3600 * 4):
        if pace.lets_through():
            told.append(clock.now)
        clock.now += 0.25
    assert told[:3] == [0.0, 0.25, 0.5]
    assert 30 <= len(told) <= 50
    assert told[-1] > 600


def test_the_first_is_told_at_once_and_what_comes_too_soon_is_not():
    clock = Clock()
    pace = Pace(3, gap_seconds=1, doubles_every=100, clock=clock)
    assert [pace.lets_through(), pace.lets_through()] == [True, False]
    for _ in range(5):
        clock.now += 1
        pace.lets_through()
    clock.now += 1
    assert not pace.lets_through()
