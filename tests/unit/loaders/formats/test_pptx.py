"""Presentations: slides as pages, in order, with all that is shown on them."""

import io

from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls
from pptx.presentation import Presentation as PresentationType
from pptx.slide import Slide
from pptx.util import Inches

from loaders.document import Element, ElementKind
from loaders.formats import pptx
from loaders.formats.content import Content

TITLE_ONLY = 5


def _deck(*titles: str) -> tuple[PresentationType, list[Slide]]:
    deck = Presentation()
    slides = [deck.slides.add_slide(deck.slide_layouts[TITLE_ONLY]) for _ in titles]
    for slide, title in zip(slides, titles, strict=True):
        slide.shapes.title.text = title
    return deck, slides


def _load(deck: PresentationType) -> Content:
    target = io.BytesIO()
    deck.save(target)
    return pptx.load(target.getvalue())


def _texts(deck: PresentationType) -> list[str]:
    return [element.text for element in _load(deck).elements]


def test_slides_are_pages_with_their_titles_as_headings() -> None:
    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.placeholders[1].text = "one\ntwo"
    slide.shapes.title.text = "Plan"
    deck.slides.add_slide(deck.slide_layouts[6])
    deck.slides.add_slide(deck.slide_layouts[0]).shapes.title.text = "End"

    content = _load(deck)

    assert content.pages == 3
    assert content.elements == [
        Element(kind=ElementKind.HEADING, text="Plan", page=1),
        Element(kind=ElementKind.LIST_ITEM, text="one", page=1),
        Element(kind=ElementKind.LIST_ITEM, text="two", page=1),
        Element(kind=ElementKind.HEADING, text="End", page=3),
    ]


def test_the_title_leads_though_another_shape_lies_below_it() -> None:
    deck, [slide] = _deck("Title")
    box = slide.shapes.add_textbox(0, 0, 100, 100)
    box.text_frame.text = "Text"
    tree = slide.shapes.title._element.getparent()
    tree.insert(2, box._element)

    assert _texts(deck) == ["Title", "Text"]


def test_tables_keep_their_structure() -> None:
    deck, [slide] = _deck("T")
    table = slide.shapes.add_table(3, 2, 0, 0, Inches(2), Inches(2)).table
    for row, texts in enumerate((("Sales", ""), ("North", "1"), ("", "2"))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    table.cell(0, 0).merge(table.cell(0, 1))
    table.cell(1, 0).merge(table.cell(2, 0))

    assert _texts(deck)[1] == "Sales | \nNorth | 1\nNorth | 2"


def test_grouped_shapes_are_read() -> None:
    deck, [slide] = _deck("T")
    inner = slide.shapes.add_group_shape().shapes.add_group_shape()
    inner.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "deep inside"

    assert _texts(deck) == ["T", "deep inside"]


def test_notes_are_labelled_and_follow_their_slide() -> None:
    deck, [first, _] = _deck("One", "Two")
    first.notes_slide.notes_text_frame.text = "Say hello.\nThen go on."

    assert _load(deck).elements[1] == Element(
        kind=ElementKind.TEXT, text="Speaker notes: Say hello.\nThen go on.", page=1
    )


def test_the_figures_of_a_chart_are_a_table() -> None:
    deck, [slide] = _deck("T")
    data = CategoryChartData()
    data.categories = ["Q1", "Q2"]
    data.add_series("North", (1.5, 2))
    data.add_series("South", (3, 4))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 999, 999, data)

    assert _texts(deck)[1].endswith("| North | South\nQ1 | 1.5 | 3\nQ2 | 2 | 4")


def test_hidden_slides_and_shapes_are_left_out_and_the_others_keep_their_numbers() -> None:
    deck, slides = _deck("Seen", "Evil", "Last")
    slides[1]._element.set("show", "0")
    box = slides[2].shapes.add_textbox(0, 0, 9, 9)
    box.text_frame.text = "evil"
    box._element.nvSpPr.cNvPr.set("hidden", "1")

    content = _load(deck)

    assert [(each.text, each.page) for each in content.elements] == [("Seen", 1), ("Last", 3)]
    assert content.pages == 3


def test_the_order_is_that_of_the_show_and_not_that_of_the_files() -> None:
    deck, _ = _deck("One", "Two")
    listed = deck.slides._sldIdLst
    listed.append(listed[0])

    assert _texts(deck) == ["Two", "One"]


def test_paragraphs_keep_the_numbers_that_powerpoint_counts() -> None:
    deck, [slide] = _deck("T")
    frame = slide.shapes.add_textbox(0, 0, 9, 9).text_frame
    frame.text = "ask\nwho\nwhom\ngo\nplain\nanew"
    forms = ["arabicPeriod", "alphaLcParenR", "alphaLcParenR", "arabicPeriod", "", "arabicPeriod"]
    for paragraph, form in zip(frame.paragraphs, forms, strict=True):
        properties = paragraph._p.get_or_add_pPr()
        if form:
            properties.append(parse_xml(f'<a:buAutoNum {nsdecls("a")} type="{form}"/>'))
        if form.startswith("alpha"):
            properties.set("lvl", "1")

    assert _texts(deck)[1:] == ["1. ask", "a) who", "b) whom", "2. go", "plain", "1. anew"]


def test_a_formula_on_a_slide_is_read_once() -> None:
    deck, [slide] = _deck("T")
    frame = slide.shapes.add_textbox(0, 0, 9, 9).text_frame
    frame.text = "Half is "
    space = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    formula = (
        f'<m:oMath xmlns:m="{space}"><m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>2'
        "</m:t></m:r></m:den></m:f></m:oMath>"
    )
    frame.paragraphs[0]._p.append(
        parse_xml(
            '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/'
            f'2006" {nsdecls("a")}><mc:Choice Requires="a14"><a14:m xmlns:a14="http://schemas.'
            f'microsoft.com/office/drawing/2010/main">{formula}</a14:m></mc:Choice><mc:Fallback>'
            "<a:r><a:t>0.5</a:t></a:r></mc:Fallback></mc:AlternateContent>"
        )
    )

    assert _texts(deck)[1:] == ["Half is 1/2"]
