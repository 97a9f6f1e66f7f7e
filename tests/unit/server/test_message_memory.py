"""Messages of sockets take so much memory and no more, of each user and in all."""

import pytest

from server.chat.message_memory import UNCOUNTED_BYTES, MessageMemory
from server.errors import RateLimited, Unavailable

MIB = 1024 * 1024


def test_a_user_holds_so_much_and_gets_it_back():
    memory = MessageMemory(user_bytes=4 * MIB)
    held = [memory.hold(1, 2 * MIB) for _ in range(2)]
    with pytest.raises(RateLimited):
        memory.hold(1, MIB)
    memory.hold(2, MIB)
    memory.hold(1, UNCOUNTED_BYTES)
    held[0].give_back()
    held[0].give_back()
    memory.hold(1, 2 * MIB)
    with pytest.raises(RateLimited):
        memory.hold(1, MIB)


def test_all_users_hold_so_much_together():
    memory = MessageMemory(user_bytes=4 * MIB, all_bytes=6 * MIB)
    held = [memory.hold(user, 2 * MIB) for user in range(3)]
    with pytest.raises(Unavailable):
        memory.hold(4, 2 * MIB)
    memory.hold(4, UNCOUNTED_BYTES)
    held[1].resize(MIB)
    memory.hold(4, MIB)


def test_one_message_alone_is_taken_however_large_it_is():
    memory = MessageMemory(user_bytes=4 * MIB)
    with memory.hold(1, 5 * MIB) as held:
        held.resize(6 * MIB)
        with pytest.raises(RateLimited):
            memory.hold(1, MIB)
    memory.hold(1, MIB)


def test_a_message_that_is_larger_than_it_came_is_counted_so_or_refused():
    memory = MessageMemory(user_bytes=4 * MIB)
    first, second = memory.hold(1, 2 * MIB), memory.hold(1, MIB)
    with pytest.raises(RateLimited):
        first.resize(4 * MIB)
    second.give_back()
    first.resize(4 * MIB)
