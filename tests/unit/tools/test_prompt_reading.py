"""What is made of the prompts of strangers before a person sees them."""

import base64

import pytest
from mcp import types

from tools import prompt_reading
from tools.errors import PromptUnusable
from tools.prompt_reading import as_line, read_filled, read_prompts
from tools.prompt_values import LinkPart, MediaPart, ResourcePart, TextPart

HIDDEN = "\u202e\u200b\x1b[31m\U000e0041"
TEXT = types.TextContent(type="text", text="Hello.")


def listed(name: str, *arguments: str, **values: object) -> types.Prompt:
    given = [types.PromptArgument(name=each) for each in arguments]
    return types.Prompt.model_validate({"name": name, "arguments": given, **values})


def filled(*contents: object) -> types.GetPromptResult:
    messages = [{"role": "user", "content": content} for content in contents]
    return types.GetPromptResult.model_validate({"messages": messages})


def names(*prompts: types.Prompt) -> list[str]:
    return [each.name for each in read_prompts("s", prompts)]


def test_names_may_hold_anything_that_shows():
    strange = ["a/b", "a.b", "50 %", "..", "ü?#&", "東京", "x" * 128]
    assert names(*map(listed, strange)) == strange


@pytest.mark.parametrize(
    "name",
    ["", " ", " a", "a ", "a\nb", "a\x00", "a\u200bb", "a\u202eb", "a\u00a0b", "x" * 129, "\ud800"],
)
def test_a_prompt_is_left_out_whose_name_does_not_show_as_what_it_is(name: str):
    assert names(types.Prompt.model_construct(name=name, arguments=None)) == []
    argument = types.PromptArgument.model_construct(name=name, description=None, required=False)
    assert names(types.Prompt.model_construct(name="a", arguments=[argument])) == []


def test_a_prompt_is_left_out_that_asks_twice_for_the_same_or_for_too_much():
    assert names(listed("a", "x", "x")) == []
    assert names(listed("a", *(f"x{number}" for number in range(65)))) == []


def test_of_two_prompts_of_one_name_the_first_counts():
    read = read_prompts("s", [listed("a", "first"), listed("b"), listed("a", "second")])
    assert [each.name for each in read] == ["a", "b"]
    assert [each.name for each in read[0].arguments] == ["first"]


def test_what_describes_is_cut_and_holds_nothing_hidden():
    [read] = read_prompts(
        "s", [listed("a", title=f"T{HIDDEN}\nU" + "x" * 300, description=f"D{HIDDEN}\n" * 3_000)]
    )
    assert read.title is not None
    assert read.title.startswith("T[31m U")
    assert (len(read.title), read.title[-1]) == (200, "…")
    assert read.description is not None
    assert read.description.startswith("D[31m\nD[31m\n")
    assert len(read.description) == 2_000


def test_what_stands_in_the_blanks_is_held_against_them():
    arguments = [
        types.PromptArgument(name="city", required=True),
        types.PromptArgument(name="state"),
    ]
    [read] = read_prompts("s", [types.Prompt(name="a", arguments=arguments)])
    assert read.faults_in({"city": ""}) == read.faults_in({"city": "x", "state": "y"}) == {}
    assert read.faults_in({"street": "x"}) == {
        "street": "The prompt has no such argument.",
        "city": "The prompt needs this argument.",
    }


def test_every_kind_of_content_is_read():
    data = base64.b64encode(b"picture").decode()
    read = read_filled(
        filled(
            {"type": "text", "text": f"A{HIDDEN}\r\nB"},
            {"type": "image", "data": data, "mimeType": "image/png"},
            {"type": "audio", "data": data, "mimeType": "audio/wav"},
            {
                "type": "resource",
                "resource": {"uri": "demo://a/1", "text": f"C{HIDDEN}", "mimeType": "text/plain"},
            },
            {"type": "resource", "resource": {"uri": "demo://a/2", "blob": data}},
            {"type": "resource_link", "uri": "demo://a/3", "name": f"N{HIDDEN}"},
        )
    )
    assert [part for message in read.messages for part in message.content] == [
        TextPart(text="A[31m\nB"),
        MediaPart(type="image", data=data, mime_type="image/png"),
        MediaPart(type="audio", data=data, mime_type="audio/wav"),
        ResourcePart(uri="demo://a/1", mime_type="text/plain", text="C[31m"),
        ResourcePart(uri="demo://a/2", mime_type=None, data=data),
        LinkPart(uri="demo://a/3", name="N[31m", title=None, description=None, mime_type=None),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"type": "image", "data": "no base64!", "mimeType": "image/png"}, "not in base64"),
        ({"type": "resource", "resource": {"uri": "demo://a", "blob": "ü"}}, "not in base64"),
        (
            {"type": "resource_link", "uri": "demo://" + "a" * 3_000, "name": "n"},
            "an address in it is too long",
        ),
        ({"type": "text", "text": "x" * 100_001}, "more than 100000 characters of text"),
    ],
)
def test_what_cannot_be_shown_whole_is_refused(content: object, reason: str):
    with pytest.raises(PromptUnusable, match=reason):
        read_filled(filled(content))


def test_too_much_is_refused_also_in_pieces(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(PromptUnusable, match="more than 64 messages"):
        read_filled(filled(*[TEXT] * 65))
    with pytest.raises(PromptUnusable, match="characters of text"):
        read_filled(filled(*[{"type": "text", "text": "x" * 50_001}] * 2))
    monkeypatch.setattr(prompt_reading, "MEDIA_MAX_CHARS", 10)
    picture = {"type": "image", "data": "AAAAAAAA", "mimeType": "image/png"}
    read_filled(filled(picture))
    with pytest.raises(PromptUnusable, match="more than 10 characters of base64"):
        read_filled(filled(picture, picture))
    with pytest.raises(PromptUnusable, match="more than 10 characters of base64"):
        read_filled(filled({**picture, "data": "A" * 12}))


def test_a_line_is_one_line():
    assert as_line("a\n  b\t c", 20) == "a b c"
    assert as_line("x" * 30, 10) == "x" * 9 + "…"
