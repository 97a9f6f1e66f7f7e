"""Whoever is told of fewer tools takes none away from others."""

from mcp import types

from tools.learned_tools import LISTS_MAX, ROUNDS_KEPT, LearnedTools
from tools.session import MAX_TOOLS


def tools(*names: str, description: str = "") -> tuple[types.Tool, ...]:
    return tuple(
        types.Tool(name=name, description=description, inputSchema={"type": "object"})
        for name in names
    )


def names(learned: LearnedTools) -> list[str]:
    return [tool.name for tool in learned.tools]


def test_whoever_may_do_less_takes_nothing_away():
    learned = LearnedTools()
    learned.learn("ada", tools("read", "write"))
    before = learned.tools
    learned.learn("bob", tools("read"))
    learned.end_round({"bob"})
    learned.learn("bob", ())
    assert learned.tools is before
    learned.learn("bob", tools("read", "delete"))
    assert names(learned) == ["read", "write", "delete"]


def test_a_tool_goes_when_nobody_is_told_of_it_any_more():
    learned = LearnedTools()
    learned.learn("ada", tools("read", "write"))
    learned.learn("bob", tools("read", "write"))
    learned.learn("ada", tools("read"))
    assert names(learned) == ["read", "write"]
    learned.learn("bob", tools("read"))
    assert names(learned) == ["read"]


def test_what_was_not_heard_for_long_is_forgotten():
    learned = LearnedTools()
    learned.learn("ada", tools("write"))
    learned.learn("bob", tools("read"))
    for _ in range(ROUNDS_KEPT - 1):
        learned.end_round({"bob"})
    assert names(learned) == ["write", "read"]
    learned.end_round({"bob"})
    assert names(learned) == ["read"]


def test_whoever_is_there_and_says_nothing_says_the_same():
    learned = LearnedTools()
    learned.learn("ada", tools("write"))
    learned.learn("bob", tools("read"))
    for _ in range(2 * ROUNDS_KEPT):
        learned.end_round({"ada", "bob"})
    assert names(learned) == ["write", "read"]


def test_nothing_is_forgotten_while_nobody_is_heard():
    learned = LearnedTools()
    learned.learn("ada", tools("read"))
    for _ in range(2 * ROUNDS_KEPT):
        learned.end_round(())
    assert names(learned) == ["read"]


def test_what_is_described_to_each_in_another_way_does_not_change_back_and_forth():
    learned = LearnedTools()
    learned.learn("ada", tools("read", description="For Ada"))
    before = learned.tools
    learned.learn("bob", tools("read", description="For Bob"))
    assert learned.tools is before
    learned.learn("ada", tools("read", description="For Ada, anew"))
    assert learned.tools == tools("read", description="For Ada, anew")


def test_neither_people_nor_tools_are_without_end():
    learned = LearnedTools()
    learned.learn("first", tools("first"))
    learned.end_round({"first"})
    for number in range(LISTS_MAX):
        learned.learn(number, tools(f"tool-{number}"))
    assert len(learned.tools) == LISTS_MAX
    assert "tool-0" in names(learned)
    learned = LearnedTools()
    for person in range(2):
        learned.learn(person, tools(*(f"{person}-{number}" for number in range(MAX_TOOLS))))
    assert len(learned.tools) == MAX_TOOLS
