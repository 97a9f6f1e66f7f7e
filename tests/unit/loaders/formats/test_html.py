"""Web pages: what a reader sees, and nothing else."""

import pytest

from loaders.document import Element, ElementKind
from loaders.errors import LoaderLimit, UnreadableDocument
from loaders.formats import hidden_text, html


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


@pytest.mark.parametrize("sign", ["¶", "#", "§", "🔗"])
def test_the_link_to_a_heading_itself_is_no_part_of_it(sign: str) -> None:
    heading = f'<h2>Bugs<a class="headerlink" href="#bugs" title="Link">{sign}</a></h2>'

    assert _texts(_page(f'{heading}<p>See <a href="#b">§ 2</a>, C<a href="/c">#</a>.</p>')) == [
        "seen",
        "Bugs",
        "See § 2, C#.",
    ]


@pytest.mark.parametrize(
    "style",
    [
        "opacity:0%",
        "opacity:.01",
        "display:/**/none",
        "display:n\\6fne",
        "font-size:1px",
        "font-size:0.0001px",
        "font:0/0 a",
        "color:transparent",
        "color:#fff",
        "color:white;background:#ffffff",
        "position:absolute;left:-9999px",
        "text-indent:-999em",
        "clip-path:inset(100%)",
        "position:absolute;clip:rect(0, 0, 0, 0)",
        "height:0;overflow:hidden",
    ],
)
def test_text_that_a_style_makes_invisible_is_left_out(style: str) -> None:
    assert _texts(_page(f'<p style="{style}">evil</p>')) == ["seen"]


@pytest.mark.parametrize(
    "style",
    [
        "left:-9999px",
        "color:transparent;background-clip:text",
        "color:#fff;background:#036",
        "height:0;overflow:hidden;padding-bottom:56%",
        "text-indent:-2em",
        "font-size:.9em",
        "clip-path:circle(50%)",
        "display:none;display:block",
    ],
)
def test_text_that_a_style_only_changes_is_kept(style: str) -> None:
    assert _texts(_page(f'<p style="{style}">kept</p>')) == ["seen", "kept"]


@pytest.mark.parametrize(
    "page",
    [
        '<table bgcolor="navy"><tr><td style="color:#fff">kept</td></tr></table>',
        '<div style="background:navy"><p style="color:#fff">kept</p></div>',
        '<link rel="stylesheet" href="x.css"><p style="color:#fff">kept</p>',
        '<p style="color:#fff"><b style="color:red">kept</b></p>',
        '<p style="font-size:0">evil<b style="font-size:1rem">kept</b>evil</p>',
        '<p style="visibility:hidden">evil<b style="visibility:visible">kept</b></p>',
    ],
)
def test_what_can_be_seen_all_the_same_is_kept(page: str) -> None:
    assert _texts(_page(page)) == ["seen", "kept"]


@pytest.mark.parametrize(
    "rule",
    [
        "body p.ghost {display:none}",
        "div > p {display:none}",
        "[data-x] {display:none}",
        "p[data-x='1'] {display:none}",
        "#g.ghost {display:none}",
        "@media all {.ghost {display:none}}",
        "@media screen {@layer a {.ghost {display:none}}}",
        ".gh\\6fst {d\\69splay:none}",
        "p { color:red; } .ghost { color:red; display:none !important } .ghost { display:block }",
    ],
)
def test_rules_of_a_style_sheet_hide_what_their_selectors_mean(rule: str) -> None:
    page = _page(
        '<div><p class="ghost" id="g" data-x="1">evil</p></div>', head=f"<style>{rule}</style>"
    )

    assert "evil" not in _texts(page)


@pytest.mark.parametrize(
    "rule",
    [
        ".menu .tab {display:none}",
        "section > .tab {display:none}",
        ".tab {display:none} .tab.open {display:block}",
        ".tab {display:none} @media (min-width: 800px) {.tab {display:block}}",
        "@media (max-width: 800px) {.tab {display:none}}",
        ".tab:hover {display:none}",
        ".tab::after {display:none}",
        "@font-face {font-family:x} @keyframes a {from {opacity:0}}",
    ],
)
def test_rules_that_mean_something_else_or_are_overruled_hide_nothing(rule: str) -> None:
    page = _page('<div><p class="tab open">kept</p></div>', head=f"<style>{rule}</style>")

    assert _texts(page) == ["seen", "kept"]


def test_style_sheets_for_browsers_without_scripts_hide_nothing() -> None:
    page = _page("<p>kept</p>", head="<noscript><style>p{display:none}</style></noscript>")

    assert _texts(page) == ["seen", "kept"]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("css", ["a" * 60_000, "@media" * 20_000, "{" * 60_000, "a{" * 30_000])
def test_a_broken_style_sheet_is_read_in_little_time(css: str) -> None:
    assert _texts(_page("", head=f"<style>{css}</style>")) == ["seen"]


def test_more_rules_than_a_page_can_be_held_against_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hidden_text, "_MOST_COMPARISONS", 10_000)
    style = f"<style>{'*{display:block}' * 100}</style>"

    assert len(html.load(_page("<p>x</p>" * 90, head=style))) == 91
    with pytest.raises(LoaderLimit):
        html.load(_page("<p>x</p>" * 110, head=style))


@pytest.mark.parametrize("depth", [200, 1_000])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<div>", "</div>"),
        ("<b>", ""),
        ("<ul><li>", "</li></ul>"),
        ("<blockquote>", "</blockquote>"),
    ],
)
def test_text_is_found_however_deep_it_is_nested(opening: str, closing: str, depth: int) -> None:
    page = _page(f"{opening * depth}<p>deep</p>{closing * depth}<p>last</p>")

    assert " ".join(_texts(page)).split() == ["seen", "deep", "last"]


@pytest.mark.parametrize("tag", ["<div>", "<b>", "<table><tr><td>"])
def test_a_page_nested_too_deeply_to_be_read_is_refused(tag: str) -> None:
    with pytest.raises(UnreadableDocument):
        html.load(_page(tag * 3_000 + "deep"))


@pytest.mark.timeout(20)
def test_signs_without_a_space_are_read_in_little_time() -> None:
    assert _texts(_page(f"<p>{'[' * 100_000}</p>")) == ["seen", "[" * 100_000]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("<tr><th rowspan=2>A<th colspan=2>B<tr><td>x<td>y", "A | B | \nA | x | y"),
        ("<tr><td rowspan=0>A<td>1<tr><td>2<tr><td>3", "A | 1\nA | 2\nA | 3"),
        ("<tr><td>H<sub>2</sub>O<td><b>b</b>old<br>next<tr><td>1<td>2", "H2O | bold next\n1 | 2"),
        ("<tr><td><p>one</p><p>two</p><td>x<tr><td>1<td>2", "one two | x\n1 | 2"),
        ("<tr><td colspan=999999999>A<tr><td>1<td>2", "A | \n1 | 2"),
    ],
)
def test_cells_of_a_table_stay_whole_and_in_their_columns(table: str, text: str) -> None:
    assert _texts(_page(f"<table>{table}</table>")) == ["seen", text]


def test_a_table_keeps_its_caption() -> None:
    table = "<table><caption>Days</caption><tr><td>a<td>b<tr><td>1<td>2</table>"

    assert _texts(_page(table)) == ["seen", "Days", "a | b\n1 | 2"]


def test_tables_that_only_arrange_a_page_are_none() -> None:
    inner = "<table><tr><td>a<td>b<tr><td>1<td>2</table>"
    page = f"<table><tr><td><h2>Leave</h2><p>Thirty days.</p></td></tr><tr><td>{inner}</table>"

    assert [(each.kind.value, each.text) for each in html.load(_page(page))[1:]] == [
        ("heading", "Leave"),
        ("text", "Thirty days."),
        ("table", "a | b\n1 | 2"),
    ]


def test_items_are_numbered_as_browsers_number_them() -> None:
    page = (
        "<ol start=3><li>three<li><p>four</p><ol type=a><li>sub</ol><li value=9>nine<li>ten</ol>"
        "<ol reversed type=I><li>two<li>one</ol><ul><li>none</ul>"
    )

    assert _texts(_page(page))[1:] == [
        "3. three", "4. four", "a. sub", "9. nine", "10. ten", "II. two", "I. one", "none",
    ]  # fmt: skip


def test_what_stands_beside_the_main_part_of_a_page_is_kept_if_it_is_much() -> None:
    main = f"<main>{'<p>Main words.</p>' * 10}</main>"

    assert "seen" not in _texts(_page(main)), "a link that leads to it says nothing"
    assert "Beside it." in _texts(_page(f"{main}<div>{'<p>Beside it.</p>' * 10}</div>"))


def test_the_words_on_a_button_are_read() -> None:
    assert _texts(_page("<h3><button>How long?</button></h3>")) == ["seen", "How long?"]


def test_a_paragraph_of_one_letter_is_one() -> None:
    assert _texts(_page("<p>5</p><div>日</div><h2>A</h2>")) == ["seen", "5", "日", "A"]
