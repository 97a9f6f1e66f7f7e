"""Word documents: what a reader of the last version sees, in order, with its structure."""

import io

import docx as python_docx
import pytest
from docx.enum.style import WD_STYLE_TYPE

from loaders.document import Element, ElementKind
from loaders.errors import UnreadableDocument
from loaders.formats import docx
from tests.fixtures.office import docx_of

SEEN = "<w:p><w:r><w:t>seen</w:t></w:r></w:p>"


def _texts(body: str, parts: dict[str, str] | None = None) -> list[str]:
    return [element.text for element in docx.load(docx_of(body, parts)).elements]


def test_a_document_is_read_by_its_structure_in_order() -> None:
    document = python_docx.Document()
    document.core_properties.title = "Leave policy"
    document.add_heading("Leave", 1)
    document.add_paragraph("Thirty ").add_run("days.").bold = True
    document.add_heading("How", 2)
    document.add_paragraph("ask", style="List Bullet")
    document.add_paragraph("go", style="List Number")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, "ab12", strict=True):
        cell.text = text
    document.add_paragraph("After.")
    target = io.BytesIO()
    document.save(target)

    content = docx.load(target.getvalue())

    assert content.title == "Leave policy"
    assert content.elements == [
        Element(kind=ElementKind.HEADING, text="Leave", level=1),
        Element(kind=ElementKind.TEXT, text="Thirty days."),
        Element(kind=ElementKind.HEADING, text="How", level=2),
        Element(kind=ElementKind.LIST_ITEM, text="ask"),
        Element(kind=ElementKind.LIST_ITEM, text="1. go"),
        Element(kind=ElementKind.TABLE, text="a | b\n1 | 2"),
        Element(kind=ElementKind.TEXT, text="After."),
    ]


def test_a_style_of_ones_own_inherits_that_it_is_a_heading() -> None:
    document = python_docx.Document()
    style = document.styles.add_style("Clause", WD_STYLE_TYPE.PARAGRAPH)
    style.base_style = document.styles["Heading 3"]
    document.add_paragraph("Termination", style="Clause")
    target = io.BytesIO()
    document.save(target)

    [element] = docx.load(target.getvalue()).elements

    assert (element.kind, element.level) == (ElementKind.HEADING, 3)


def test_headers_and_footers_come_once_however_many_sections_there_are() -> None:
    document = python_docx.Document()
    document.add_paragraph("Body.")
    for _ in range(3):
        section = document.add_section()
        section.header.is_linked_to_previous = False
        section.header.paragraphs[0].text = "ACME Ltd."
        section.footer.is_linked_to_previous = False
        section.footer.paragraphs[0].text = "Confidential"
    document.sections[0].footer.paragraphs[0].text = "12"
    target = io.BytesIO()
    document.save(target)

    texts = [each.text for each in docx.load(target.getvalue()).elements]

    assert texts == ["ACME Ltd.", "Body.", "Confidential"]


@pytest.mark.parametrize(
    "hidden",
    [
        "<w:p><w:del><w:r><w:delText>evil</w:delText></w:r></w:del></w:p>",
        "<w:p><w:moveFrom><w:r><w:t>evil</w:t></w:r></w:moveFrom></w:p>",
        "<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>evil</w:t></w:r></w:p>",
        '<w:p><w:pPr><w:pStyle w:val="Ghost"/></w:pPr><w:r><w:t>evil</w:t></w:r></w:p>',
        '<w:p><w:r><w:rPr><w:rStyle w:val="Ghost"/></w:rPr><w:t>evil</w:t></w:r></w:p>',
        "<w:p><w:r><w:instrText>evil</w:instrText></w:r></w:p>",
        '<w:p><w:commentRangeStart w:id="0"/><w:r><w:commentReference w:id="0"/></w:r></w:p>',
        '<w:p><w:pPr><w:pStyle w:val="TOC1"/></w:pPr><w:r><w:t>evil 7</w:t></w:r></w:p>',
        (
            '<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/>'
            "</w:docPartObj></w:sdtPr><w:sdtContent><w:p><w:r><w:t>evil</w:t></w:r></w:p>"
            "</w:sdtContent></w:sdt>"
        ),
        (
            "<w:tbl><w:tr><w:trPr><w:del/></w:trPr><w:tc><w:p><w:r><w:t>evil</w:t></w:r></w:p></w:tc>"
            "</w:tr></w:tbl>"
        ),
    ],
)
def test_what_nobody_sees_is_left_out(hidden: str) -> None:
    styles = (
        '<w:styles><w:style w:styleId="Ghost"><w:rPr><w:vanish/></w:rPr></w:style>'
        '<w:style w:styleId="TOC1"><w:name w:val="toc 1"/></w:style></w:styles>'
    )
    comments = '<w:comments><w:comment w:id="0"><w:p><w:r><w:t>evil</w:t></w:r></w:p></w:comment></w:comments>'  # noqa: E501

    assert _texts(SEEN + hidden, {"styles": styles, "comments": comments}) == ["seen"]


@pytest.mark.parametrize(
    "paragraph",
    [
        "<w:ins><w:r><w:t>seen</w:t></w:r></w:ins>",
        "<w:moveTo><w:r><w:t>seen</w:t></w:r></w:moveTo>",
        '<w:hyperlink r:id="x"><w:r><w:t>seen</w:t></w:r></w:hyperlink>',
        "<w:sdt><w:sdtContent><w:r><w:t>seen</w:t></w:r></w:sdtContent></w:sdt>",
        "<w:smartTag><w:r><w:t>seen</w:t></w:r></w:smartTag>",
        '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>seen</w:t></w:r>',
        '<w:fldSimple w:instr="x"><w:r><w:t>seen</w:t></w:r></w:fldSimple>',
        "<w:r><w:t>se</w:t></w:r><w:r><w:t>en</w:t></w:r>",
    ],
)
def test_text_is_found_wherever_it_stands(paragraph: str) -> None:
    assert _texts(f"<w:p>{paragraph}</w:p>") == ["seen"]


def test_a_text_box_comes_once_after_its_paragraph() -> None:
    space = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    box = f"<x><w:txbxContent>{SEEN.replace('seen', 'boxed')}</w:txbxContent></x>"
    body = (
        f'<w:p><w:r><w:t>Text.</w:t></w:r><w:r><mc:AlternateContent xmlns:mc="{space}"><mc:Choice>'
        f"<w:drawing>{box}</w:drawing></mc:Choice><mc:Fallback><w:pict>{box}</w:pict>"
        "</mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )

    assert _texts(body) == ["Text.", "boxed"]


def test_a_footnote_comes_after_its_paragraph() -> None:
    notes = (
        '<w:footnotes><w:footnote w:id="-1" w:type="separator"><w:p/></w:footnote>'
        '<w:footnote w:id="2"><w:p><w:r><w:footnoteRef/><w:t>See there.</w:t></w:r></w:p>'
        "</w:footnote></w:footnotes>"
    )
    body = '<w:p><w:r><w:t>Text.</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r></w:p>'

    assert _texts(body + SEEN, {"footnotes": notes}) == ["Text.", "Footnote: See there.", "seen"]


def test_merged_cells_say_their_text_in_every_row() -> None:
    def cell(text: str, properties: str = "") -> str:
        run = f"<w:r><w:t>{text}</w:t></w:r>"
        return f"<w:tc><w:tcPr>{properties}</w:tcPr><w:p>{run}</w:p></w:tc>"

    wide, tall = '<w:gridSpan w:val="2"/>', '<w:vMerge w:val="restart"/>'
    body = (
        f"<w:tbl><w:tr>{cell('Year 2024', wide)}{cell('Sum')}</w:tr>"
        f"<w:tr>{cell('North', tall)}{cell('Q1')}{cell('1')}</w:tr>"
        f"<w:tr>{cell('', '<w:vMerge/>')}{cell('Q2')}{cell('2')}</w:tr></w:tbl>"
    )

    assert _texts(body) == ["Year 2024 |  | Sum\nNorth | Q1 | 1\nNorth | Q2 | 2"]


def test_a_table_of_one_cell_is_a_frame_around_its_text() -> None:
    body = f"<w:tbl><w:tr><w:tc>{SEEN}{SEEN}</w:tc></w:tr></w:tbl>"

    assert [each.kind for each in docx.load(docx_of(body)).elements] == [ElementKind.TEXT] * 2


def test_the_strict_dialect_is_read_as_well() -> None:
    space = "http://purl.oclc.org/ooxml/wordprocessingml/main"
    body = f'<w:document xmlns:w="{space}"><w:body>{SEEN}</w:body></w:document>'

    assert _texts_of(docx_of(body.encode())) == ["seen"]


@pytest.mark.parametrize(
    "body",
    [
        b"no markup",
        b"<w:document xmlns:w='x'/>",
        b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
        b"<?xml version='1.0' encoding='cp037'?>" + b"\x4c\x5a",
        "<!DOCTYPE x><x/>".encode("utf-16"),
        b"<x>" + b"<y>" * 100_000,
    ],
)
def test_damaged_or_declaring_markup_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        docx.load(docx_of(body))


def _texts_of(data: bytes) -> list[str]:
    return [element.text for element in docx.load(data).elements]


def _run(properties: str, text: str) -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"


TINY = '<w:sz w:val="2"/>'
SMALL = '<w:sz w:val="10"/>'
MARKED = '<w:highlight w:val="black"/>'
GROUND = '<w:shd w:val="clear" w:fill="003366"/>'
RED = '<w:vanish w:val="0"/><w:color w:val="FF0000"/>'
WHITE = '<w:color w:val="FFFFFF"/>'


EVIL = "<w:p><w:r><w:t>evil</w:t></w:r></w:p>"


@pytest.mark.parametrize(
    "hidden",
    [
        f"<w:p>{_run(WHITE, 'evil')}</w:p>",
        f"<w:p>{_run(TINY, 'evil')}</w:p>",
        f"<w:p>{_run('<w:specVanish/>', 'evil')}</w:p>",
        f"<w:tbl><w:tr><w:trPr><w:hidden/></w:trPr><w:tc>{EVIL}</w:tc></w:tr></w:tbl>",
    ],
)
def test_letters_that_nobody_can_see_are_left_out(hidden: str) -> None:
    assert _texts(SEEN + hidden) == ["seen"]


@pytest.mark.parametrize(
    "paragraph",
    [
        f"<w:p>{_run(WHITE + MARKED, 'kept')}</w:p>",
        f"<w:p>{_run(WHITE + GROUND, 'kept')}</w:p>",
        f'<w:p><w:pPr><w:shd w:val="clear" w:fill="003366"/></w:pPr>{_run(WHITE, "kept")}</w:p>',
        f"<w:tbl><w:tr><w:tc><w:p>{_run(WHITE, 'kept')}</w:p></w:tc></w:tr></w:tbl>",
        f"<w:p>{_run(WHITE, 'kept')}<w:r><w:pict/></w:r></w:p>",
        f"<w:p>{_run(SMALL, 'kept')}</w:p>",
        f"<w:p>{_run(RED, 'kept')}</w:p>",
        f"<w:p><w:pPr><w:rPr><w:specVanish/></w:rPr></w:pPr>{_run('', 'kept')}</w:p>",
    ],
)
def test_white_or_small_letters_that_can_be_seen_are_kept(paragraph: str) -> None:
    assert _texts(SEEN + paragraph) == ["seen", "kept"]


def _listed(*items: tuple[str, int, str]) -> str:
    """Paragraphs of lists: the text, the level, which list."""
    return "".join(
        f'<w:p><w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
        f"</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
        for text, level, number in items
    )


NUMBERING = """<w:numbering><w:abstractNum w:abstractNumId="0">
<w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="decimal"/><w:lvlText w:val="§ %1"/></w:lvl>
<w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%2)"/></w:lvl>
<w:lvl w:ilvl="2"><w:numFmt w:val="upperRoman"/><w:lvlText w:val="%1.%3"/></w:lvl>
<w:lvl w:ilvl="3"><w:numFmt w:val="bullet"/><w:lvlText w:val=""/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="1">
<w:lvl w:ilvl="0"><w:pStyle w:val="Clause"/><w:lvlText w:val="%1."/></w:lvl>
<w:lvl w:ilvl="1"><w:pStyle w:val="Sub"/><w:lvlText w:val="%1.%2"/></w:lvl></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>
<w:num w:numId="2"><w:abstractNumId w:val="0"/>
<w:lvlOverride w:ilvl="0"><w:startOverride w:val="9"/></w:lvlOverride></w:num>
<w:num w:numId="3"><w:abstractNumId w:val="1"/></w:num></w:numbering>"""


def test_numbers_of_lists_are_counted_as_word_counts_them() -> None:
    body = _listed(
        ("a", 0, "1"), ("b", 1, "1"), ("c", 1, "1"), ("d", 2, "1"), ("e", 3, "1"), ("f", 0, "1"),
        ("g", 1, "1"), ("h", 0, "2"), ("i", 0, "2"), ("j", 0, "0"), ("k", 0, "77"),
    )  # fmt: skip

    assert _texts(body, {"numbering": NUMBERING}) == [
        "§ 3 a", "a) b", "b) c", "3.I d", "e", "§ 4 f", "a) g", "§ 9 h", "§ 10 i", "j", "k",
    ]  # fmt: skip


def test_styles_number_their_paragraphs_and_what_was_deleted_is_not_counted() -> None:
    styles = (
        '<w:styles><w:style w:styleId="Clause"><w:pPr><w:numPr><w:numId w:val="3"/></w:numPr>'
        '<w:outlineLvl w:val="0"/></w:pPr></w:style><w:style w:styleId="Sub"><w:pPr><w:numPr>'
        '<w:numId w:val="3"/></w:numPr></w:pPr></w:style></w:styles>'
    )
    deleted = "<w:rPr><w:del/></w:rPr></w:pPr><w:del><w:r><w:delText>x</w:delText></w:r></w:del>"
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="{style}"/>{rest}</w:p>'
        for style, rest in (
            ("Clause", "</w:pPr><w:r><w:t>Scope</w:t></w:r>"),
            ("Sub", "</w:pPr><w:r><w:t>Who</w:t></w:r>"),
            ("Sub", deleted),
            ("Sub", "</w:pPr><w:r><w:t>Where</w:t></w:r>"),
            ("Clause", "</w:pPr><w:r><w:t>Term</w:t></w:r>"),
        )
    )

    elements = docx.load(docx_of(body, {"styles": styles, "numbering": NUMBERING})).elements

    assert [(each.kind.value, each.text) for each in elements] == [
        ("heading", "1. Scope"),
        ("list_item", "1.1 Who"),
        ("list_item", "1.2 Where"),
        ("heading", "2. Term"),
    ]


def test_a_heading_is_told_by_the_name_of_its_style_alone() -> None:
    styles = '<w:styles><w:style w:styleId="H"><w:name w:val="heading 2"/></w:style></w:styles>'
    body = '<w:p><w:pPr><w:pStyle w:val="H"/></w:pPr><w:r><w:t>Leave</w:t></w:r></w:p>'

    [element] = docx.load(docx_of(body, {"styles": styles})).elements

    assert (element.kind, element.level) == (ElementKind.HEADING, 2)


M = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("<f><num>{1}</num><den>{2}</den></f>", "1/2"),
        ("<sSup><e>{x}</e><sup>{n+1}</sup></sSup>", "x^(n+1)"),
        (
            '<nary><naryPr><chr m:val="∑"/></naryPr><sub>{k}</sub><sup>{n}</sup><e>{i}</e></nary>',
            "∑_k^n i",
        ),
        ("<func><fName>{sin}</fName><e><d><e>{x}</e></d></e></func>", "sin (x)"),
        ("<rad><deg/><e>{2}</e></rad>", "√2"),
        ("<sSubSup><e>{x}</e><sub>{i}</sub><sup>{2}</sup></sSubSup>", "x_i^2"),
        ("<m><mr><e>{1}</e><e>{0}</e></mr><mr><e>{0}</e><e>{1}</e></mr></m>", "1, 0; 0, 1"),
    ],
)
def test_formulas_are_written_in_one_line(formula: str, text: str) -> None:
    formula = formula.replace("{", "<r><t>").replace("}", "</t></r>")
    formula = formula.replace("</", "</m:").replace("<", "<m:").replace("<m:/m:", "</m:")

    body = f"<w:p><w:r><w:t>Is </w:t></w:r><m:oMath {M}>{formula}</m:oMath></w:p>"

    assert _texts(body) == [f"Is {text}"]


@pytest.mark.parametrize(
    ("run", "text"),
    [
        ('<w:t>Left</w:t><w:ptab w:alignment="right"/><w:t>right</w:t>', "Left\tright"),
        ('<w:sym w:font="Symbol" w:char="F0B1"/><w:t>5</w:t>', "±5"),
        ('<w:sym w:font="Wingdings" w:char="F0FC"/><w:t> done</w:t>', "✓ done"),
        ('<w:t>x</w:t><w:sym w:font="Nobodys" w:char="F041"/>', "x"),
        ('<w:t>x</w:t><w:sym w:font="Symbol" w:char="no"/>', "x"),
    ],
)
def test_signs_that_are_named_by_their_place_are_read(run: str, text: str) -> None:
    assert _texts(f"<w:p><w:r>{run}</w:r></w:p>") == [text]


def test_a_row_that_begins_further_right_stays_under_its_columns() -> None:
    cell = "<w:tc><w:p><w:r><w:t>{}</w:t></w:r></w:p></w:tc>"
    rows = (
        f"<w:tr>{cell.format('a')}{cell.format('b')}</w:tr>"
        f'<w:tr><w:trPr><w:gridBefore w:val="1"/></w:trPr>{cell.format("under b")}</w:tr>'
    )

    assert _texts(f"<w:tbl>{rows}</w:tbl>") == ["a | b\n | under b"]


def test_the_figures_of_a_chart_are_a_table() -> None:
    c = "http://schemas.openxmlformats.org/drawingml/2006/chart"
    chart = (
        f'<c:chartSpace xmlns:c="{c}"><c:chart><c:ser><c:tx><c:pt idx="0"><c:v>Sales</c:v></c:pt>'
        '</c:tx><c:cat><c:pt idx="0"><c:v>May</c:v></c:pt></c:cat><c:val><c:pt idx="0"><c:v>7</c:v>'
        "</c:pt></c:val></c:ser></c:chart></c:chartSpace>"
    )
    drawing = f'<w:drawing><c:chart xmlns:c="{c}" r:id="chart"/></w:drawing>'

    assert _texts(f"<w:p><w:r>{drawing}</w:r></w:p>", {"chart": chart}) == [" | Sales\nMay | 7"]
