"""What counts as a light value."""

from typing import Any

import pytest

from tools.weight import LIGHT_CHARS, PART_CHARS, is_light


def nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [None, 3, "short", {"time": "12:30", "zone": ["Asia", "Tokyo"]}, [], nested(100)]
)
def test_what_a_tool_commonly_answers_is_light(value: Any) -> None:
    assert is_light(value)


@pytest.mark.parametrize(
    "value",
    [
        "x" * LIGHT_CHARS,
        [1] * (LIGHT_CHARS // PART_CHARS),
        {str(number): number for number in range(LIGHT_CHARS // PART_CHARS)},
        [["x" * 1_000] * 20],
        nested(LIGHT_CHARS),
    ],
)
def test_long_texts_many_parts_and_deep_nesting_are_not(value: Any) -> None:
    assert not is_light(value)


def test_values_count_together() -> None:
    half = "x" * (LIGHT_CHARS // 2)
    assert is_light(half)
    assert not is_light(half, half)


class Counted(list[int]):
    """Tells how much of it was looked at."""

    looked_at = 0

    def __iter__(self) -> Any:
        for each in super().__iter__():
            self.looked_at += 1
            yield each


def test_what_follows_a_heavy_value_is_not_looked_at() -> None:
    counted = Counted([1] * 100)
    assert not is_light(counted, "x" * LIGHT_CHARS)
    assert counted.looked_at == 0
