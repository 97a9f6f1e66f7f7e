from mcp import types

from tools.results import EMPTY_RESULT, render_result


def text(value: str) -> types.TextContent:
    return types.TextContent(type="text", text=value)


def test_blocks_of_text_are_joined() -> None:
    result = types.CallToolResult(content=[text("a"), text(""), text("b")])

    assert render_result(result, max_chars=100) == "a\n\nb"


def test_structured_content_stands_in_when_there_is_no_text() -> None:
    result = types.CallToolResult(content=[], structuredContent={"città": [1]})

    assert render_result(result, max_chars=100) == '{"città": [1]}'


def test_text_goes_before_structured_content() -> None:
    result = types.CallToolResult(content=[text("a")], structuredContent={"a": 1})

    assert render_result(result, max_chars=100) == "a"


def test_nothing_is_said_to_be_nothing() -> None:
    assert render_result(types.CallToolResult(content=[]), max_chars=100) == EMPTY_RESULT


def test_what_is_too_long_is_cut_with_a_note() -> None:
    result = types.CallToolResult(content=[text("x" * 5_000_000)])

    shown = render_result(result, max_chars=1_000)

    assert shown.startswith("x" * 1_000 + "\n[Cut: the first 1000 of 5000000 characters")
    assert len(shown) < 1_100
