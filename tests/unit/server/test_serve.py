"""What `youworker serve` does besides serving."""

import gc
from collections.abc import Iterator
from weakref import ref

import pytest

from server.cli.serve import COLLECTIONS, spare_what_was_loaded


@pytest.fixture
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


class Circle:
    """Refers to itself, so that only a collection finds it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.usefixtures("collector")
def test_what_was_loaded_is_never_looked_at_again_and_garbage_made_since_is():
    before = Circle()
    loaded = ref(before)
    spare_what_was_loaded()
    made = ref(Circle())
    del before
    gc.collect()
    assert loaded() is not None
    assert made() is None
    assert gc.get_threshold() == COLLECTIONS
