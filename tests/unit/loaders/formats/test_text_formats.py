"""Plain text, Markdown and CSV."""

import pytest

from loaders.document import Element, ElementKind
from loaders.formats import csv, markdown, text
from loaders.reading import read_document


def test_paragraphs_and_lists_of_plain_text_are_told_apart() -> None:
    elements = text.load("A paragraph that is\nbroken over lines.\n\n- one\n- two\n\nEnd.")

    assert elements == [
        Element(kind=ElementKind.TEXT, text="A paragraph that is broken over lines."),
        Element(kind=ElementKind.LIST_ITEM, text="one"),
        Element(kind=ElementKind.LIST_ITEM, text="two"),
        Element(kind=ElementKind.TEXT, text="End."),
    ]


def test_a_short_line_of_plain_text_is_no_heading() -> None:
    assert {each.kind for each in text.load("SHORT\n\nA longer paragraph of words.")} == {
        ElementKind.TEXT
    }


def test_a_megabyte_of_text_is_read_whole() -> None:
    paragraphs = [f"Paragraph {n}" + " says a few words" * 32 for n in range(2_000)]

    assert [each.text for each in text.load("\n\n".join(paragraphs))] == paragraphs


def test_markdown_is_read_by_its_structure() -> None:
    elements = markdown.load(
        "# Leave\n\nThirty *days*, see [rules](http://x).\n\n## How\n\n1. ask\n2. go\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n```sh\nrm x\n```\n"
    )

    assert elements == [
        Element(kind=ElementKind.HEADING, text="Leave", level=1),
        Element(kind=ElementKind.TEXT, text="Thirty days, see rules."),
        Element(kind=ElementKind.HEADING, text="How", level=2),
        Element(kind=ElementKind.LIST_ITEM, text="ask"),
        Element(kind=ElementKind.LIST_ITEM, text="go"),
        Element(kind=ElementKind.TABLE, text="a | b\n1 | 2"),
        Element(kind=ElementKind.CODE, text="rm x"),
    ]


def test_hidden_text_inside_markdown_is_left_out() -> None:
    source = "Seen.\n\n<div style='display:none'>evil</div>\n\n<script>evil()</script>\n"

    assert [each.text for each in markdown.load(source)] == ["Seen."]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_is_one_element_with_its_header_first(delimiter: str) -> None:
    rows = [["id", "name"], ["007", "Anna"], ["8", "NA"], ["", ""], ["9", ""]]
    source = "\n".join(delimiter.join(row) for row in rows)

    [table] = csv.load(source, delimiter=delimiter)

    assert table.kind is ElementKind.TABLE
    assert table.text == "id | name\n007 | Anna\n8 | NA\n9 | "


def test_line_ends_inside_a_cell_do_not_break_its_row() -> None:
    [table] = csv.load('a,b\n"one\ntwo",2\n', delimiter=",")

    assert table.text == "a | b\none two | 2"


def test_a_huge_cell_is_kept_whole() -> None:
    [table] = csv.load(f"a,b\n{'x' * 300_000},2\n", delimiter=",")

    assert len(table.text) > 300_000


def test_a_quotation_mark_that_is_never_closed_swallows_nothing() -> None:
    lines = ["a,b"] + [f"{n},x" for n in range(3000)]
    lines[5] = '4,"open'

    [table] = csv.load("\n".join(lines), delimiter=",")

    assert table.text.count("\n") == 3000


def test_rows_of_uneven_length_are_kept() -> None:
    [table] = csv.load("a,b\n1\n1,2,3\n", delimiter=",")

    assert table.text == "a | b\n1\n1 | 2 | 3"


@pytest.mark.parametrize(
    ("data", "name", "title"),
    [
        (b"text", "holiday plan.txt", "holiday plan"),
        (b"# Leave\n\ntext", "a.md", "Leave"),
        (b"## Part\n\ntext", "a.md", "a"),
        (b"<html><title>Page</title><h1>Head</h1><p>x</p></html>", "a.html", "Page"),
        (b"<html><h1>Head</h1><p>x</p></html>", "a.html", "Head"),
        (b"a,b\n1,2\n3,4\n", "dir/sales.csv", "sales"),
        (b"text", "", "untitled"),
        (b"text", ".txt", ".txt"),
    ],
)
def test_a_document_is_called_what_it_calls_itself_or_its_name(
    data: bytes, name: str, title: str
) -> None:
    assert read_document(data, name).title == title


def test_wide_lines_are_paragraphs_of_their_own() -> None:
    lines = [f"{n} " + "log " * 40 + "end" for n in range(3)]

    assert [each.text for each in text.load("\n".join(lines))] == lines
