"""Plain text, Markdown and CSV."""

import pytest

from loaders.document import Element, ElementKind
from loaders.formats import csv, markdown, text
from loaders.media_type import MediaType
from loaders.reading import LOADERS, MAIL_LOADERS, read_document


def test_every_kind_that_is_told_is_read() -> None:
    assert LOADERS.keys() | MAIL_LOADERS.keys() == set(MediaType)


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
    ).elements

    assert elements == [
        Element(kind=ElementKind.HEADING, text="Leave", level=1),
        Element(kind=ElementKind.TEXT, text="Thirty days, see rules."),
        Element(kind=ElementKind.HEADING, text="How", level=2),
        Element(kind=ElementKind.LIST_ITEM, text="1. ask"),
        Element(kind=ElementKind.LIST_ITEM, text="2. go"),
        Element(kind=ElementKind.TABLE, text="a | b\n1 | 2"),
        Element(kind=ElementKind.CODE, text="rm x"),
    ]


def test_hidden_text_inside_markdown_is_left_out() -> None:
    source = "Seen.\n\n<div style='display:none'>evil</div>\n\n<script>evil()</script>\n"

    assert [each.text for each in markdown.load(source).elements] == ["Seen."]


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
        (b"---\ntitle: 'My plan'\n---\n# Leave\n", "a.md", "My plan"),
        (b'{"title": 1}', "figures.json", "figures"),
        (b"From: a@b.c\nSubject: =?utf-8?q?Caf=C3=A9?=\n\nHello", "a.eml", "Café"),
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


def test_front_matter_stays_readable_and_is_no_heading() -> None:
    [front, body] = markdown.load("---\ntitle: Plan\ntags: [a, b]\n---\nWords.\n").elements

    assert front == Element(kind=ElementKind.TEXT, text="title: Plan\ntags: [a, b]")
    assert body.text == "Words."


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    source = "---\nWords and\n---\nmore words.\n"

    assert markdown.load(source).title is None
    assert "more words." in markdown.load(source).elements[-1].text


def test_source_code_and_logs_keep_their_lines() -> None:
    source = "def add(a, b):\n    return a + b\n\n\nclass C:\n    x = 1\n"
    document = read_document(source.encode(), "a.py")

    assert [(each.kind, each.text) for each in document.elements] == [
        (ElementKind.CODE, "def add(a, b):\n    return a + b"),
        (ElementKind.CODE, "class C:\n    x = 1"),
    ]
    [entries] = read_document(b"10:00 start\n10:01 stop\n", "a.log").elements
    assert entries.text == "10:00 start\n10:01 stop"


def test_what_is_no_character_is_left_out() -> None:
    document = read_document(b'{"a": "x\\u0000y\\ud800z"}', "a.json")

    assert document.text == "a: xy?z"


def test_comments_above_a_table_are_text_and_the_last_one_may_be_its_header() -> None:
    document = read_document(
        b"# Zones of time, by country.\n#\n# Two of them.\n#\n#codes\tzone\tcomments\n"
        b"IT,SM,VA\tEurope/Rome\nAE,OM\tAsia/Dubai\tCrozet\nAD\tEurope/Andorra\n",
        "zones.tab",
    )

    assert document.mime == MediaType.TSV
    assert [(each.kind, each.text) for each in document.elements] == [
        (ElementKind.TEXT, "Zones of time, by country.\n\nTwo of them."),
        (
            ElementKind.TABLE,
            (
                "codes | zone | comments\nIT,SM,VA | Europe/Rome\n"
                "AE,OM | Asia/Dubai | Crozet\nAD | Europe/Andorra"
            ),
        ),
    ]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("opening", ["[", "<a ", "&", "`a ``", "<http://"])
def test_a_line_of_markdown_that_opens_without_end_is_read_as_text(opening: str) -> None:
    line = opening * 20_000

    elements = markdown.load(f"Words.\n\n{line}").elements

    assert "".join(each.text for each in elements).split() == f"Words.{line}".split()


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "source",
    ["=\n" * 20_000, "[a]:\n" * 20_000, "> " * 3_000 + "a", "- " * 20_000 + "a"],
    ids=["lines under nothing", "names of nothing", "quotations", "lists"],
)
def test_markdown_that_is_hard_to_read_is_read_in_little_time(source: str) -> None:
    assert "Words." in [each.text.strip() for each in markdown.load(f"Words.\n\n{source}").elements]


def test_markdown_nested_too_deeply_loses_no_words() -> None:
    source = "".join(f"{'  ' * level}- w{level}\n" for level in range(60))

    text = " ".join(each.text for each in markdown.load(source).elements)

    assert all(f"w{level}" in text.split() for level in range(60))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "line", ["a" + " \t" * 200_000 + "b", "=" * 500_000 + " a"], ids=["blanks", "signs"]
)
def test_a_line_of_signs_is_read_in_little_time(line: str) -> None:
    assert text.load(line)[0].text.split() == line.split()


@pytest.mark.parametrize("name", ["people.csv", "people"])
def test_a_line_that_tells_excel_the_delimiter_is_no_row(name: str) -> None:
    document = read_document(b"sep=;\r\nName;Town\r\nBob, Jr.;Rome\r\n", name)

    assert document.text == "Name | Town\nBob, Jr. | Rome"


def test_items_with_their_numbers_in_brackets_are_kept_apart() -> None:
    elements = text.load("First we say something that is long enough.\n(a) ask\n(b) go\n(1) rest\n")

    assert [each.text for each in elements][1:] == ["(a) ask", "(b) go", "(1) rest"]
