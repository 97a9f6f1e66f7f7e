"""A watch hears of a lock-out whenever it comes, and acts on it once."""

from uuid import uuid4

from server.security.revocation import Watch

USER = 7


def watch() -> tuple[Watch, list[str]]:
    return Watch(USER, uuid4(), None, lambda _: None), []


def test_it_acts_once_however_often_it_is_told():
    watched, acts = watch()
    watched.on_end(lambda: acts.append("ended"))
    watched.end()
    watched.end()
    assert acts == ["ended"]


def test_what_came_before_it_knew_what_to_do_is_made_up_for():
    watched, acts = watch()
    watched.end()
    watched.on_end(lambda: acts.append("ended"))
    assert watched.ended
    assert acts == ["ended"]


def test_it_is_forgotten_when_it_is_closed():
    kept = set()
    with Watch(USER, None, None, kept.discard) as watched:
        kept.add(watched)
    assert kept == set()
