"""What `youworker serve` does besides serving."""

import gc
from collections.abc import Iterator

import pytest

from server.cli.serve import COLLECTIONS, spare_what_was_loaded


@pytest.fixture
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collector")
def test_what_was_loaded_is_never_looked_at_again_and_garbage_made_since_is():
    spare_what_was_loaded()
    assert gc.get_freeze_count() > 100_000
    assert gc.get_threshold() == COLLECTIONS
    circle: list[object] = []
    circle.append(circle)
    del circle
    assert gc.collect() >= 1
