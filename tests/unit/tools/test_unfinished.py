"""How much of messages that are not whole is held at once."""

import pytest

from tools.errors import CallRejected
from tools.transports.unfinished import Unfinished


def test_where_all_are_too_much_the_large_ones_are_given_up() -> None:
    unfinished = Unfinished(100)

    with unfinished.part() as large, unfinished.part() as small:
        large.hold(90)
        small.hold(10)
        small.hold(20)
        with pytest.raises(CallRejected, match="too much at once"):
            large.hold(91)


def test_what_is_whole_or_given_up_leaves_its_place_to_others() -> None:
    unfinished = Unfinished(100)

    with unfinished.part() as first, unfinished.part() as second:
        first.hold(100)
        first.hold(0)
        second.hold(100)
    with unfinished.part() as third, unfinished.part():
        third.hold(100)

    assert unfinished.total == 0
