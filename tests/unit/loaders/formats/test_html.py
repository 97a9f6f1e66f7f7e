"""Web pages: what a reader sees, and nothing else."""

import pytest

from loaders.document import Element, ElementKind
from loaders.formats import html


def _texts(markup: str) -> list[str]:
    return [element.text for element in html.load(markup)]


def _page(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}</head><body><p>seen</p>{body}</body></html>"


def test_a_page_is_read_by_its_structure() -> None:
    elements = html.load(
        "<html><body><h1>Leave</h1><p>Thirty <b>days</b>.</p><h2>How</h2><ul><li>ask<li>go</ul>"
        "<pre>x = 1\n  y</pre><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr>"
        "</table></body></html>"
    )

    assert elements == [
        Element(kind=ElementKind.HEADING, text="Leave", level=1),
        Element(kind=ElementKind.TEXT, text="Thirty days."),
        Element(kind=ElementKind.HEADING, text="How", level=2),
        Element(kind=ElementKind.LIST_ITEM, text="ask"),
        Element(kind=ElementKind.LIST_ITEM, text="go"),
        Element(kind=ElementKind.CODE, text="x = 1\n  y"),
        Element(kind=ElementKind.TABLE, text="a | b\n1 | 2"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        "<script>evil()</script>",
        "<style>.evil {}</style>",
        "<!-- evil -->",
        "<template><p>evil</p></template>",
        "<noscript>evil</noscript>",
        "<svg><title>evil</title></svg>",
        "<iframe srcdoc='x'>evil</iframe>",
        "<div hidden>evil</div>",
        "<div style='display: none'>evil</div>",
        "<div style='color:red;DISPLAY:NONE!important'><p>evil</p></div>",
        "<span style='visibility:hidden'>evil</span>",
        "<p style='opacity:0'>evil</p>",
        "<p style='font-size:0px;color:red'>evil</p>",
        "<form><div style='display:none'>evil</div></form>",
        "<input type=hidden value=evil>",
    ],
)
def test_hidden_text_is_left_out(body: str) -> None:
    assert _texts(_page(body)) == ["seen"]


@pytest.mark.parametrize(
    "rule", [".ghost{display:none}", "#g { visibility : hidden }", "a.b, p.ghost {opacity:0}"]
)
def test_text_that_the_page_hides_by_its_own_style_sheet_is_left_out(rule: str) -> None:
    page = _page('<p class="x ghost" id="g">evil</p>', head=f"<style>{rule}</style>")

    assert _texts(page) == ["seen"]


def test_text_that_only_paper_hides_is_kept() -> None:
    page = _page(
        '<p class="screen">kept</p>',
        head="<style>@media print { .screen { display: none } .y{color:red} }</style>",
    )

    assert _texts(page) == ["seen", "kept"]


@pytest.mark.parametrize(
    "body",
    [
        "<form><p>kept</p></form>",
        "<details><summary>kept</summary></details>",
        "<figure><figcaption>kept</figcaption></figure>",
        "<p style='opacity:0.5'>kept</p>",
        "<p style='font-size:0.8em'>kept</p>",
        "<footer>kept</footer>",
        "<script>x</script>kept",
    ],
)
def test_text_that_a_reader_sees_is_kept(body: str) -> None:
    assert _texts(_page(body)) == ["seen", "kept"]


def test_every_script_survives() -> None:
    assert _texts("<p>perché 😀 日本語 &eacute; &lt;b&gt;</p>") == ["perché 😀 日本語 é <b>"]


def test_the_title_is_found() -> None:
    assert html.find_title("<html><title> The\n title </title><p>x") == "The title"
    assert html.find_title("<p>x</p>") is None
    assert html.find_title("<title></title>") is None


@pytest.mark.parametrize("markup", ["", "<html></html>", "<", "<!-- -->", "<html><body hidden>x"])
def test_a_page_without_text_has_no_elements(markup: str) -> None:
    assert all(text in {"<", "x"} for text in _texts(markup))


def test_a_page_of_one_huge_text_is_read_whole() -> None:
    text = "word " * 100_000
    assert len(_texts(f"<html><body><p>{text}</p></body></html>")[0]) == len(text.strip())
