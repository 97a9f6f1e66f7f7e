"""OpenDocument: texts and sheets as people see them."""

import pytest

from loaders.document import Element, ElementKind
from loaders.errors import DocumentEncrypted, UnreadableDocument
from loaders.formats import odf
from tests.fixtures.office import ODF_NAMESPACES, odf_of, zip_of

GHOST = (
    '<style:style style:name="Ghost"><style:text-properties text:display="none"/></style:style>'
    '<style:style style:name="Away"><style:table-properties table:display="false"/></style:style>'
)


def _text(body: str) -> list[Element]:
    return odf.load_text(odf_of("text", body, styles=GHOST)).elements


def _sheets(body: str) -> list[str]:
    content = odf.load_sheets(odf_of("spreadsheet", body, styles=GHOST))
    return [element.text for element in content.elements]


def _cell(text: str, properties: str = "") -> str:
    return f"<table:table-cell {properties}><text:p>{text}</text:p></table:table-cell>"


def _row(*cells: str, properties: str = "") -> str:
    return f"<table:table-row {properties}>{''.join(cells)}</table:table-row>"


def test_a_text_is_read_by_its_structure_in_order() -> None:
    body = (
        '<text:h text:outline-level="1">Leave</text:h><text:section><text:p>Thirty <text:span>'
        'days</text:span>.<text:s text:c="2"/>Yes.</text:p></text:section>'
        '<text:h text:outline-level="2">How</text:h><text:list><text:list-item><text:p>ask'
        "</text:p><text:list><text:list-item><text:p>again</text:p></text:list-item></text:list>"
        "</text:list-item></text:list><table:table><table:table-header-rows>"
        f"{_row(_cell('a'), _cell('b'))}</table:table-header-rows>{_row(_cell('1'), _cell('2'))}"
        "</table:table><text:p>After.</text:p>"
    )

    assert _text(body) == [
        Element(kind=ElementKind.HEADING, text="Leave", level=1),
        Element(kind=ElementKind.TEXT, text="Thirty days.  Yes."),
        Element(kind=ElementKind.HEADING, text="How", level=2),
        Element(kind=ElementKind.LIST_ITEM, text="ask"),
        Element(kind=ElementKind.LIST_ITEM, text="again"),
        Element(kind=ElementKind.TABLE, text="a | b\n1 | 2"),
        Element(kind=ElementKind.TEXT, text="After."),
    ]


@pytest.mark.parametrize(
    "hidden",
    [
        (
            "<text:tracked-changes><text:deletion><text:p>evil</text:p></text:deletion>"
            "</text:tracked-changes>"
        ),
        "<text:p><office:annotation><text:p>evil</text:p></office:annotation></text:p>",
        '<text:p text:style-name="Ghost">evil</text:p>',
        '<text:p><text:span text:style-name="Ghost">evil</text:span></text:p>',
        '<text:section text:display="none"><text:p>evil</text:p></text:section>',
        "<text:p><text:hidden-text>evil</text:hidden-text></text:p>",
        (
            "<text:table-of-content><text:index-body><text:p>evil 7</text:p></text:index-body>"
            "</text:table-of-content>"
        ),
    ],
)
def test_what_nobody_sees_is_left_out(hidden: str) -> None:
    assert [each.text for each in _text(f"<text:p>seen</text:p>{hidden}")] == ["seen"]


def test_footnotes_and_text_boxes_follow_their_paragraph() -> None:
    body = (
        "<text:p>One<text:note><text:note-citation>1</text:note-citation><text:note-body>"
        "<text:p>See there.</text:p></text:note-body></text:note> two<draw:frame><draw:text-box>"
        "<text:p>boxed</text:p></draw:text-box></draw:frame>.</text:p>"
    )

    assert [each.text for each in _text(body)] == ["One two.", "Footnote: See there.", "boxed"]


def test_headers_and_footers_come_once_and_the_title_is_the_documents_own() -> None:
    pages = (
        "<style:master-page><style:header><text:p>ACME</text:p></style:header><style:footer>"
        "<text:p>Secret</text:p><text:p>7</text:p></style:footer></style:master-page>"
    )
    parts = {
        "styles.xml": f"<office:document-styles {ODF_NAMESPACES}>{pages * 2}"
        "</office:document-styles>",
        "meta.xml": '<m xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>T</dc:title></m>',
    }

    content = odf.load_text(odf_of("text", "<text:p>Body.</text:p>", parts=parts))

    assert [each.text for each in content.elements] == ["ACME", "Body.", "Secret"]
    assert content.title == "T"


def test_sheets_say_what_is_shown_in_their_cells() -> None:
    body = (
        '<table:table table:name="Data">'
        + _row(_cell("sum"), _cell("share"))
        + _row(_cell("12.50 €", 'office:value="12.5"'), _cell("15%", 'office:value="0.15"'))
        + _row(
            _cell("", 'table:number-columns-repeated="16384"'),
            properties='table:number-rows-repeated="1048574"',
        )
        + "</table:table>"
    )

    assert _sheets(body) == ["Data", "sum | share\n12.50 € | 15%"]


def test_repeated_and_merged_cells_are_told_as_often_as_they_show() -> None:
    body = (
        '<table:table table:name="S">'
        + _row(_cell("a"), _cell("b"), _cell("c"))
        + _row(
            _cell("North", 'table:number-rows-spanned="2"'),
            _cell("x", 'table:number-columns-repeated="2"'),
        )
        + _row("<table:covered-table-cell/>", _cell("y"), _cell("z"))
        + "</table:table>"
    )

    assert _sheets(body) == ["S", "a | b | c\nNorth | x | x\nNorth | y | z"]


def test_hidden_sheets_rows_and_columns_are_left_out() -> None:
    body = (
        '<table:table table:name="S"><table:table-column/><table:table-column '
        'table:visibility="collapse"/>'
        + _row(_cell("a"), _cell("evil"))
        + _row(_cell("evil"), properties='table:visibility="collapse"')
        + "</table:table>"
        + f'<table:table table:name="E" table:style-name="Away">{_row(_cell("evil"))}</table:table>'
    )

    assert _sheets(body) == ["S", "a"]


def test_a_locked_document_is_told() -> None:
    manifest = {"META-INF/manifest.xml": "<manifest:encryption-data/>"}

    with pytest.raises(DocumentEncrypted):
        odf.load_text(odf_of("text", "", parts=manifest))


def test_a_document_without_content_is_damaged() -> None:
    with pytest.raises(UnreadableDocument):
        odf.load_text(zip_of({"mimetype": "application/vnd.oasis.opendocument.text"}))


@pytest.mark.timeout(20)
def test_thousands_of_hidden_columns_are_left_out_in_little_time() -> None:
    columns = '<table:table-column table:visibility="collapse"/><table:table-column/>' * 4_000
    rows = _row(_cell("x", 'table:number-columns-repeated="8000"')) * 30

    [_, table] = _sheets(f'<table:table table:name="A">{columns}{rows}</table:table>')

    assert table.count("x") == 4_000 * 30


def test_hidden_columns_beside_each_other_are_all_left_out() -> None:
    hidden = '<table:table-column table:visibility="collapse"/>'
    columns = f"<table:table-column/>{hidden}{hidden}<table:table-column/>{hidden}"
    row = _row(*map(_cell, "abcde"))

    assert _sheets(f'<table:table table:name="A">{columns}{row}</table:table>') == ["A", "a | d"]


LISTS = (
    '<text:list-style style:name="L"><text:list-level-style-number text:level="1" style:num-format'
    '="1" style:num-suffix="."/><text:list-level-style-number text:level="2" style:num-format="a" '
    'style:num-suffix=")"/></text:list-style><text:list-style style:name="B">'
    '<text:list-level-style-bullet text:level="1"/></text:list-style>'
    '<text:outline-style><text:outline-level-style text:level="1" style:num-format="1"/>'
    '<text:outline-level-style text:level="2" style:num-format="1" text:display-levels="2"/>'
    "</text:outline-style>"
)


def test_items_and_headings_keep_their_numbers() -> None:
    item = "<text:list-item><text:p>{}</text:p>{}</text:list-item>"
    inner = f"<text:list>{item.format('b', '')}{item.format('c', '')}</text:list>"
    body = (
        '<text:h text:outline-level="1">Scope</text:h><text:h text:outline-level="2">Who</text:h>'
        f'<text:list text:style-name="L">{item.format("a", inner)}{item.format("d", inner)}'
        "</text:list><text:p>between</text:p>"
        '<text:list text:style-name="L" text:continue-numbering="true">'
        "<text:list-header><text:p>head</text:p></text:list-header>"
        f"{item.format('e', '')}</text:list>"
        f'<text:list text:style-name="L">{item.format("anew", "")}</text:list>'
        f'<text:list text:style-name="B">{item.format("bullet", "")}</text:list>'
        '<text:h text:outline-level="2">Where</text:h><text:h text:outline-level="1">Term</text:h>'
    )

    elements = odf.load_text(odf_of("text", body, styles=LISTS)).elements

    assert [each.text for each in elements] == [
        "1 Scope", "1.1 Who", "1. a", "a) b", "b) c", "2. d", "a) b", "b) c", "between", "head",
        "3. e", "1. anew", "bullet", "1.2 Where", "2 Term",
    ]  # fmt: skip
