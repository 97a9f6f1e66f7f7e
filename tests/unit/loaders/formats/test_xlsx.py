"""Workbooks: what people see in the cells of the sheets they see."""

import datetime as dt
import io
from collections.abc import Callable
from zipfile import ZipFile

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from loaders.document import Element, ElementKind
from loaders.errors import LoaderLimit
from loaders.formats import xlsx
from loaders.formats.number_formats import show_as
from tests.fixtures.office import relations, xlsx_of, zip_of


def _load(fill: Callable[[Worksheet], object]) -> list[Element]:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    fill(sheet)
    target = io.BytesIO()
    book.save(target)
    return xlsx.load(target.getvalue()).elements


def _texts(fill: Callable[[Worksheet], object]) -> list[str]:
    """What follows the sheet's name."""
    return [element.text for element in _load(fill)[1:]]


def _cell(row: int, column: str, value: object, kind: str = "n") -> str:
    return f'<row r="{row}"><c r="{column}{row}" t="{kind}"><v>{value}</v></c></row>'


def _rows(*rows: tuple[object, ...]) -> Callable[[Worksheet], None]:
    def fill(sheet: Worksheet) -> None:
        for row in rows:
            sheet.append(row)

    return fill


def test_sheets_are_headings_over_their_tables() -> None:
    book = openpyxl.Workbook()
    book.create_sheet("Empty")
    for name in ("North", "South"):
        sheet = book.create_sheet(name)
        sheet.append(["name", "sum"])
        sheet.append([f"of {name}", 2])
    target = io.BytesIO()
    book.save(target)

    assert xlsx.load(target.getvalue()).elements == [
        Element(kind=ElementKind.HEADING, text="North"),
        Element(kind=ElementKind.TABLE, text="name | sum\nof North | 2"),
        Element(kind=ElementKind.HEADING, text="South"),
        Element(kind=ElementKind.TABLE, text="name | sum\nof South | 2"),
    ]


def test_a_title_above_a_table_is_no_row_of_it() -> None:
    elements = _load(_rows(("Sales 2024",), ("all figures in EUR",), ("name", "sum"), ("a", 1)))

    assert [(each.kind, each.text) for each in elements[1:]] == [
        (ElementKind.TEXT, "Sales 2024"),
        (ElementKind.TEXT, "all figures in EUR"),
        (ElementKind.TABLE, "name | sum\na | 1"),
    ]


def test_an_empty_row_parts_two_tables_but_not_the_rows_of_one() -> None:
    apart = _rows(("a", "b"), (1, 2), (), ("c", "d"), (3, 4))
    together = _rows(("a", "b"), (1, 2), (), (3, 4))

    assert _texts(apart) == ["a | b\n1 | 2", "c | d\n3 | 4"]
    assert _texts(together) == ["a | b\n1 | 2\n3 | 4"]


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (0.1 + 0.2, "General", "0.3"),
        (12.0, "General", "12"),
        (1234.5, "#,##0.00", "1,234.50"),
        (2.5, "0", "3"),
        (0.155, "0.0%", "15.5%"),
        (-3, "#,##0;(#,##0)", "(3)"),
        (-3, r"#,##0_);[Red]\(#,##0\)", "(3)"),
        (-3, "0.00", "-3.00"),
        (-0.001, "0.00", "0.00"),
        (12.5, '"$"#,##0.00', "$12.50"),
        (12.5, "#,##0.00 [$€-407]", "12.50 €"),
        (1234.5, '_-* #,##0.00 "€"_-', "1,234.50 €"),
        (1234567, '0.0,,"M"', "1.2M"),
        (5, '0 "pcs; net"', "5 pcs; net"),
        (123, "00000", "00123"),
        (1.5, "0.##", "1.5"),
        (2, "0.##", "2"),
        (0, '0;-0;"none"', "none"),
        (7, ";;;", ""),
        (1e300, "0.00", "1e+300"),
        (45657, "dd/mm/yyyy", "2024-12-31"),
        (45657.5, "m/d/yy h:mm", "2024-12-31 12:00"),
        (0.25, "h:mm", "06:00"),
        (1.25, "[h]:mm", "30:00:00"),
        (1e12, "yyyy", "1000000000000"),
    ],
)
def test_a_number_is_what_people_see(value: float, code: str, shown: str) -> None:
    assert show_as(code)(value) == shown


def test_values_of_all_kinds_are_shown() -> None:
    texts = _texts(
        _rows(
            ("when", dt.date(2024, 2, 29)),
            ("at", dt.datetime(2024, 2, 29, 7, 30)),  # noqa: DTZ001 - a workbook knows no zones
            ("is", True),
            ("error", "#N/A"),
            ("sum", "=1+1"),
            ("lines", "one\ntwo"),
        )
    )

    [table] = texts
    assert table.split("\n") == [
        "when | 2024-02-29",
        "at | 2024-02-29 07:30",
        "is | TRUE",
        "error | #N/A",
        "sum | =1+1",
        "lines | one two",
    ]


def test_workbooks_of_the_other_epoch_are_read_as_they_are() -> None:
    book = openpyxl.Workbook()
    book.epoch = dt.datetime(1904, 1, 1)  # noqa: DTZ001
    assert isinstance(book.active, Worksheet)
    book.active.append(["when", dt.date(2024, 2, 29)])
    target = io.BytesIO()
    book.save(target)

    assert xlsx.load(target.getvalue()).elements[1].text == "when | 2024-02-29"


def test_merged_cells_say_their_text_in_every_row_but_once_in_each() -> None:
    def fill(sheet: Worksheet) -> None:
        _rows(("Region", "Q", "n"), ("North", "Q1", 1), (None, "Q2", 2), ("All together",))(sheet)
        sheet.merge_cells("A2:A3")
        sheet.merge_cells("A4:C4")

    assert _texts(fill) == ["Region | Q | n\nNorth | Q1 | 1\nNorth | Q2 | 2\nAll together |  | "]


def test_hidden_sheets_rows_columns_and_remarks_are_left_out() -> None:
    def fill(sheet: Worksheet) -> None:
        _rows(("a", "evil", "b"), (1, "evil", 2), ("evil",), (3, "evil", 4))(sheet)
        sheet.column_dimensions["B"].hidden = True
        sheet.row_dimensions[3].hidden = True
        sheet["A1"].comment = openpyxl.comments.Comment("evil", "x")
        for state in ("hidden", "veryHidden"):
            assert sheet.parent is not None
            other = sheet.parent.create_sheet(state)
            other.append(["evil"])
            other.sheet_state = state

    assert _texts(fill) == ["a | b\n1 | 2\n3 | 4"]


def test_two_cells_at_the_ends_of_a_sheet_are_two_cells() -> None:
    rows = _cell(1, "A", "1") + _cell(1_048_576, "XFD", "2")
    book = xlsx_of({"Sparse": f'<dimension ref="A1:XFD1048576"/><sheetData>{rows}</sheetData>'})

    assert [each.text for each in xlsx.load(book).elements] == ["Sparse", "1", "2"]


def test_a_sheet_that_lies_about_its_extent_is_read_in_full() -> None:
    rows = "".join(_cell(number, "B", number) for number in range(1, 21))
    book = xlsx_of({"S": f'<dimension ref="A1"/><sheetData>{rows}</sheetData>'})

    assert xlsx.load(book).elements[1].text.split("\n") == [str(each) for each in range(1, 21)]


def test_cells_without_an_address_follow_each_other() -> None:
    rows = "<row><c><v>1</v></c><c><v>2</v></c></row><row><c><v>3</v></c></row>"

    [_, table] = xlsx.load(xlsx_of({"S": f"<sheetData>{rows}</sheetData>"})).elements

    assert table.text == "1 | 2\n3 | "


@pytest.mark.parametrize(
    "cell",
    [
        '<c r="A1" t="s"><v>7</v></c>',
        '<c r="A1" t="s"><v>-1</v></c>',
        '<c r="ZZZZZZ1"><v>1</v></c>',
        '<c r="A1"/>',
        '<c r="A1" t="inlineStr"><is/></c>',
    ],
)
def test_cells_that_say_nothing_are_passed_over(cell: str) -> None:
    assert xlsx.load(xlsx_of({"S": f"<sheetData><row>{cell}</row></sheetData>"})).elements == []


def test_what_is_no_number_where_one_should_be_is_shown_as_it_is() -> None:
    book = xlsx_of({"S": f"<sheetData>{_cell(1, 'A', 'abc')}{_cell(2, 'A', 'nan')}</sheetData>"})

    assert xlsx.load(book).elements[1].text == "abc\nnan"


def test_a_merge_over_all_the_sheet_costs_nothing() -> None:
    merges = '<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>' * 100
    book = xlsx_of({"S": f"<sheetData>{_cell(1, 'A', 'x', 'str')}</sheetData>{merges}"})

    assert xlsx.load(book).elements[1].text == "x"


def test_a_row_without_an_end_is_refused() -> None:
    row = b"<row>" + b"<c><v>1</v></c>" * 300_000
    sheet = b"<worksheet><sheetData>" + row + b"</row></sheetData></worksheet>"

    with pytest.raises(LoaderLimit):
        xlsx.load(xlsx_of({"S": sheet}))


def test_a_sheet_that_is_listed_often_is_read_once() -> None:
    listed = '<sheet name="S" r:id="sheet1"/>' * 1000
    book = xlsx_of({"S": f"<sheetData>{_cell(1, 'A', 1)}</sheetData>"}, workbook=listed)

    assert len(xlsx.load(book).elements) == 2


@pytest.mark.timeout(20)
def test_thousands_of_hidden_columns_are_left_out_in_little_time() -> None:
    columns = "<cols>" + '<col min="2" max="16384" hidden="1"/>' * 20_000 + "</cols>"
    rows = "".join(_cell(row, "A", row) for row in range(1, 3_001))
    rows += _cell(3_001, "B", 9)

    [_, table] = xlsx.load(xlsx_of({"A": f"{columns}<sheetData>{rows}</sheetData>"})).elements

    assert table.text.split("\n")[-1] == "3000"


def test_what_xml_cannot_hold_is_read_as_it_was_meant() -> None:
    row = '<row r="1"><c r="A1" t="inlineStr"><is><t>one_x000D_two _x005F_x0041_</t></is></c></row>'

    elements = xlsx.load(xlsx_of({"S": f"<sheetData>{row}</sheetData>"})).elements

    assert elements[1].text.split() == ["one", "two", "_x0041_"]


def test_text_boxes_are_read_with_their_sheet() -> None:
    spaces = " ".join(
        f'xmlns:{name}="http://schemas.openxmlformats.org/drawingml/2006/{space}"'
        for name, space in (("xdr", "spreadsheetDrawing"), ("a", "main"))
    )
    box = (
        '<xdr:sp><xdr:nvSpPr><xdr:cNvPr id="1" name="b" {}/></xdr:nvSpPr><xdr:txBody><a:p><a:r>'
        "<a:t>{}</a:t></a:r></a:p></xdr:txBody></xdr:sp>"
    )
    drawing = (
        f"<xdr:wsDr {spaces}>{box.format('', 'Written on it.')}"
        + box.format('hidden="1"', "evil")
        + "</xdr:wsDr>"
    )
    with ZipFile(io.BytesIO(xlsx_of({"S": "<sheetData/>"}))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts |= {
        "xl/_rels/sheet1.xml.rels": relations({"drawing": "drawing1.xml"}).encode(),
        "xl/drawing1.xml": drawing.encode(),
    }

    assert [each.text for each in xlsx.load(zip_of(parts)).elements] == ["S", "Written on it."]
