from typing import Any

import pytest
from mcp import types

from tools.definitions import NAME_MAX_CHARS, ToolDefinition, inspect_definitions

MAX_BYTES = 1_000


def tool(name: str = "send", **values: Any) -> types.Tool:
    return types.Tool(**{"name": name, "inputSchema": {"type": "object"}, **values})


def inspect(*tools: types.Tool) -> tuple[ToolDefinition, ...]:
    return inspect_definitions("mail", tools, max_bytes=MAX_BYTES)


def fingerprint(**values: Any) -> str:
    [definition] = inspect(tool(**values))
    assert definition.refusal is None
    return definition.fingerprint


@pytest.mark.parametrize(
    "values",
    [
        {"name": "other"},
        {"title": "Send"},
        {"description": "Sends."},
        {"inputSchema": {"type": "object", "properties": {"to": {"type": "string"}}}},
        {"annotations": types.ToolAnnotations(readOnlyHint=True)},
        {"annotations": types.ToolAnnotations(destructiveHint=False)},
    ],
    ids=lambda values: next(iter(values)),
)
def test_whatever_a_model_or_a_rule_goes_by_changes_the_fingerprint(values: dict[str, Any]) -> None:
    assert fingerprint(**values) != fingerprint()


def test_the_order_of_keys_and_what_no_model_reads_do_not_change_it() -> None:
    schema = {"properties": {}, "type": "object"}
    same = {"type": "object", "properties": {}}
    assert fingerprint(inputSchema=schema) == fingerprint(inputSchema=same)
    assert fingerprint(outputSchema={"type": "object"}) == fingerprint()


@pytest.mark.parametrize(
    ("first", "second"), [("a", "a"), ("a.b", "a/b"), ("send", "Send"), ("a b", "a_b")]
)
def test_of_names_that_fall_together_neither_can_be_used_in_either_order(
    first: str, second: str
) -> None:
    for names in ((first, second), (second, first)):
        found = inspect(*map(tool, names), tool("other"))
        assert [each.refusal is None for each in found] == [False, False, True]


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (tool("x" * (NAME_MAX_CHARS + 1)), "1 to 128"),
        (tool(""), "1 to 128"),
        (tool("a\nb"), "no rule"),
        (tool("a\u200bb"), "no rule"),
        (tool("*"), "no rule"),
        (tool("send\ufe0f"), "no rule"),
        (tool("\uff53end"), "no rule"),
        (tool(inputSchema={"default": float("nan")}), "numbers"),
        (tool(inputSchema={"default": float("inf")}), "numbers"),
        (tool(inputSchema={"default": 10**30}), "numbers"),
        (tool(inputSchema={"default": 10**5_000}), "numbers"),
        (tool(description="x" * MAX_BYTES), "larger than 1000 bytes"),
        (tool(inputSchema={"type": "object", "enum": ["x" * MAX_BYTES]}), "larger"),
        (tool(execution=types.ToolExecution(taskSupport="required")), "task"),
    ],
)
def test_what_no_model_should_read_is_refused_with_the_reason(odd: types.Tool, reason: str) -> None:
    bad, good = inspect(odd, tool("other"))
    assert reason in (bad.refusal or "")
    assert good.refusal is None


def test_a_schema_that_has_no_end_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"a": schema}
    built = types.Tool.model_construct(
        name="deep", title=None, description=None, inputSchema=schema, annotations=None
    )
    [definition] = inspect(built)
    assert "nested" in (definition.refusal or "")
