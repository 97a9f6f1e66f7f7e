"""PDF: which lines are rows of tables, and which only look like them."""

from collections.abc import Iterable, Sequence

import pytest
from fpdf import FPDF

from loaders.document import Element, ElementKind
from loaders.formats import pdf
from loaders.formats.pdf.continued_tables import with_headers
from tests.fixtures.pdfs import FONT, blank_pdf, join_objects, raw_pdf, stream

PARAGRAPH = "A paragraph of ordinary text, which is wider than any of the cells that there are. "
CELLS = [["Name", "Born"], ["Ada", "1815"], ["Grace", "1906"]]
ROWS = "Name | Born\nAda | 1815\nGrace | 1906"


def _elements(document: FPDF | bytes) -> list[tuple[str, str]]:
    data = document if isinstance(document, bytes) else bytes(document.output())
    return [(each.kind.value, each.text) for each in pdf.load(data).elements]


def _tables(document: FPDF | bytes) -> list[str]:
    return [text for kind, text in _elements(document) if kind == ElementKind.TABLE]


def _write(document: FPDF, text: str) -> None:
    document.multi_cell(0, 6, text, new_x="LMARGIN", new_y="NEXT")


def _page(cells: Iterable[Sequence[str]] = CELLS) -> FPDF:
    document = blank_pdf()
    document.add_page()
    document.set_y(60)
    _write(document, PARAGRAPH)
    with document.table(width=100, align="LEFT") as table:
        for row in cells:
            table.row(row)
    _write(document, PARAGRAPH)
    return document


def _texts_at(places: Iterable[tuple[float, float, str]]) -> bytes:
    return b"".join(
        b"BT /F 12 Tf %f %f Td (%s) Tj ET " % (x, y, text.encode()) for x, y, text in places
    )


def test_a_ruled_table_stands_between_its_paragraphs() -> None:
    paragraph = ("text", PARAGRAPH.strip())

    assert _elements(_page()) == [paragraph, ("table", ROWS), paragraph]


def test_a_cell_of_several_lines_is_one_cell() -> None:
    long = "words that are broken over several lines of the cell"

    assert _tables(_page([*CELLS, [long, "1912"]])) == [f"{ROWS}\n{long} | 1912"]


def test_a_merged_cell_says_its_text_once() -> None:
    document = blank_pdf()
    document.add_page()
    document.set_y(60)
    with document.table() as table:
        table.row().cell("Lives", colspan=2)
        for row in CELLS:
            table.row(row)

    assert _tables(document) == [f"Lives | \n{ROWS}"]


def test_a_table_of_boxes_around_cells_is_ruled() -> None:
    places = [(x, y) for y in (500, 480, 460) for x in (50, 150)]
    boxes = b"".join(b"%d %d 100 20 re S " % place for place in places)
    words = [cell for row in CELLS for cell in row]
    texts = _texts_at((x + 5, y + 5, word) for (x, y), word in zip(places, words, strict=True))

    assert _tables(raw_pdf(boxes + texts)) == [ROWS]


def test_rows_without_rules_between_them_are_rows() -> None:
    rules = b"".join(b"%d 400 m %d 520 l S " % (x, x) for x in (50, 150, 250))
    rules += b"".join(b"50 %d m 250 %d l S " % (y, y) for y in (400, 500, 520))
    rows = [*CELLS, ["Alan", "1912"]]
    texts = _texts_at(
        (55 + 100 * column, 505 - 20 * row, cell)
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
    )

    assert _tables(raw_pdf(rules + texts)) == [f"{ROWS}\nAlan | 1912"]


def test_a_table_on_a_page_that_lies_on_its_side_is_read_as_it_is_seen() -> None:
    places = [(500 - 20 * row, 50 + 100 * column) for row in range(3) for column in range(2)]
    boxes = b"".join(b"%d %d 20 100 re S " % (600 - x, y) for x, y in places)
    words = [cell for row in CELLS for cell in row]
    texts = b"".join(
        b"BT /F 12 Tf 0 1 -1 0 %d %d Tm (%s) Tj ET " % (615 - x, y + 5, word.encode())
        for (x, y), word in zip(places, words, strict=True)
    )

    assert _tables(raw_pdf(boxes + texts, paper="0 800] /Rotate 90 /CropBox[0 0 600 800")) == [ROWS]


def test_columns_of_short_texts_without_rules_are_a_table() -> None:
    rows = [["Size", "Memory", "Speed"], ["tiny", "1 GB", "10x"], ["large", "10 GB", "1x"]]
    places = [
        (50 + 150 * column, 500 - 15 * row, cell)
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
    ]

    assert _elements(raw_pdf(_texts_at([(50, 600, PARAGRAPH), *places, (50, 400, PARAGRAPH)]))) == [
        ("text", PARAGRAPH.strip()),
        ("table", "Size | Memory | Speed\ntiny | 1 GB | 10x\nlarge | 10 GB | 1x"),
        ("text", PARAGRAPH.strip()),
    ]


def test_text_set_in_columns_is_read_column_by_column() -> None:
    columns = [[f"column {column} line {line}" for line in range(5)] for column in range(3)]
    drawing = _texts_at(
        (30 + 190 * column, 500 - 14 * line, text)
        for column, lines in enumerate(columns)
        for line, text in enumerate(lines)
    )

    elements = _elements(raw_pdf(drawing))

    assert {kind for kind, _ in elements} == {"text"}
    assert " ".join(text for _, text in elements).split() == [
        word for lines in columns for text in lines for word in text.split()
    ]


def test_a_frame_around_text_is_no_table() -> None:
    document = blank_pdf()
    document.add_page()
    document.set_y(60)
    document.multi_cell(0, 6, PARAGRAPH * 3, border=1)

    assert _tables(document) == []


def test_the_head_of_a_letter_in_cells_is_no_table_and_read_once() -> None:
    document = blank_pdf()
    for _ in range(4):
        document.add_page()
        document.set_y(5)
        with document.table(line_height=5) as table:
            table.row(["The Company", "Letter"])
            table.row(["Some Street", "Confidential"])
        document.set_y(60)
        _write(document, PARAGRAPH)

    elements = _elements(document)

    assert {kind for kind, _ in elements} == {"text"}
    assert " ".join(text for _, text in elements).count("Confidential") == 1


def test_a_table_that_the_file_names_itself_needs_no_rules() -> None:
    words = ["Name", "Born", "Ada", "1815"]
    drawing = b"".join(
        b"/P <</MCID %d>> BDC %s EMC "
        % (number, _texts_at([(50 + 60 * (number % 2), 500 - 15 * (number // 2), word)]))
        for number, word in enumerate(words)
    )
    cells = [
        b"<</Type/StructElem/S/TD/P %d 0 R/Pg 3 0 R/K %d>>" % (8 + number // 2, number)
        for number in range(4)
    ]
    rows = [
        b"<</Type/StructElem/S/TR/P 7 0 R/K[%d 0 R %d 0 R]>>" % (10 + 2 * row, 11 + 2 * row)
        for row in range(2)
    ]
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/StructParents 0"

    data = join_objects(
        [
            b"<</Type/Catalog/Pages 2 0 R/MarkInfo<</Marked true>>/StructTreeRoot 6 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            page + b"/Resources<</Font<</F 5 0 R>>>>>>",
            stream(drawing),
            FONT,
            b"<</Type/StructTreeRoot/K 7 0 R/ParentTree 14 0 R>>",
            b"<</Type/StructElem/S/Table/P 6 0 R/K[8 0 R 9 0 R]>>",
            *rows,
            *cells,
            b"<</Nums[0[10 0 R 11 0 R 12 0 R 13 0 R]]>>",
        ]
    )

    assert _tables(data) == ["Name | Born\nAda | 1815"]


def test_a_drawing_of_very_many_lines_is_no_table() -> None:
    lines = b"".join(b"%d 0 m %d 700 l S 0 %d m 600 %d l S " % (n, n, n, n) for n in range(1600))

    assert _elements(raw_pdf(lines + _texts_at([(50, 500, "A map")]))) == [("text", "A map")]


def _table(page: int, *rows: str) -> list[Element]:
    return [Element(kind=ElementKind.TABLE, text="\n".join(rows), page=page)]


def test_rows_that_go_on_on_the_next_page_come_under_their_header() -> None:
    pages = [
        _table(1, "Item | Price", "Pen | 2"),
        _table(2, "Ink | 9", "Pad | 4"),
        _table(3, "Cap | 1"),
    ]

    assert [each.text for each in with_headers(pages)] == [
        "Item | Price\nPen | 2",
        "Item | Price\nInk | 9\nPad | 4",
        "Item | Price\nCap | 1",
    ]


@pytest.mark.parametrize(
    "following",
    [
        ["Item | Price", "Ink | 9"],
        ["Name | Town", "Bob | 9"],
        ["Ink | 9 | 3"],
    ],
)
def test_another_table_on_the_next_page_stays_as_it_is(following: list[str]) -> None:
    pages = [_table(1, "Item | Price", "Pen | 2"), _table(2, *following)]

    assert [each.text for each in with_headers(pages)][1] == "\n".join(following)


def test_a_table_after_other_words_is_another_one() -> None:
    words = Element(kind=ElementKind.TEXT, text="Other prices.", page=2)
    pages = [_table(1, "Item | Price", "Pen | 2"), [words, *_table(2, "Ink | 9")]]

    assert [each.text for each in with_headers(pages)][2] == "Ink | 9"
