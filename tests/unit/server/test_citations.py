"""What an answer cites, held against what was found."""

import pytest

from server.runs.citations import Citations, may_cite_earlier, resolve_citations


def source(label, number=0):
    return {"id": f"0f1e2d3c-0000-5000-8000-00000000000{number}", "label": label}


HOTELS, MEALS = source("k7f2m", 1), source("p3q4r", 2)


def cited(content, found=(HOTELS, MEALS), earlier=()):
    return resolve_citations(content, found, earlier).citations


@pytest.mark.parametrize(
    "content",
    [
        "A room costs 120 euros [k7f2m].",
        "A room costs 120 euros[k7f2m]",
        "According to [K7F2M], 120 euros.",
        "120 euros (k7f2m).",
        "120 euros 【k7f2m】.",
        "120 euros [^k7f2m] and [cite: k7f2m, page 3].",
        "120 euros `[k7f2m]`.",
        "120 euros [k7f2m](/v1/sources/1).",
        f"120 euros [{HOTELS['id']}].",
        "120 euros [k7f2m]\n\n```python\nx = 1\n```\n",
    ],
)
def test_a_label_of_what_was_found_is_a_citation(content):
    assert cited(content) == Citations(cited=("k7f2m",))


@pytest.mark.parametrize(
    "content",
    [
        "Nothing.",
        "xk7f2m k7f2mx k7f2 k7f2m3 a-k7f2m",
        "```\n[k7f2m]\n```",
        "~~~\n[k7f2m]\n```\n[p3q4r]\n~~~",
        "```\n[k7f2m] in a block that never ends",
        "![k7f2m](https://evil.example/p3q4r)",
        "[a link](https://evil.example/p3q4r)",
        "[a note] [sic] [TODO] [2024-05-06] [a] [x = 1]",
        "In code `a[1]` and ``b[`2`]`` and `[x9y9z]`.",
        "```\n[1] [x9y9z]\n```",
        "[x9y9z](https://example.org) and [1](https://example.org)",
        "[0]",
        "[2024]",
    ],
)
def test_what_is_no_citation_is_none(content):
    assert cited(content) == Citations()


def test_citations_come_in_the_order_of_the_answer_each_once():
    content = "b [p3q4r], a [k7f2m; p3q4r], b [p3q4r]"
    assert cited(content).cited == ("p3q4r", "k7f2m")


def test_the_sources_stay_in_their_order_and_are_marked():
    resolved = resolve_citations("b [p3q4r]", [HOTELS, MEALS])
    assert [(each["label"], each["cited"]) for each in resolved.sources] == [
        ("k7f2m", False),
        ("p3q4r", True),
    ]


@pytest.mark.parametrize("found", [(), (HOTELS,)])
def test_a_label_of_nothing_is_reported(found):
    assert cited("So it is [x9y9z], [q2w3e, X9Y9Z].", found).unknown == ("x9y9z", "q2w3e")


def test_a_bare_number_is_reported_where_something_was_found():
    assert cited("So it is [1], and [2, 3] and [^4]. [5](u)").unknown == ("1", "2", "3", "4")


def test_a_bare_number_means_nothing_where_nothing_was_found():
    assert cited("So it is [1].", ()) == Citations()


def test_what_was_found_earlier_in_the_session_is_known_and_shown_last_if_cited():
    resolved = resolve_citations("As I said [p3q4r], [k7f2m].", [HOTELS], [MEALS, source("d8h5t")])
    assert resolved.citations == Citations(cited=("p3q4r", "k7f2m"))
    assert [each["label"] for each in resolved.sources] == ["k7f2m", "p3q4r"]
    assert all(each["cited"] for each in resolved.sources)


@pytest.mark.parametrize("content", ["As I said (p3q4r).", f"As I said [{MEALS['id']}]."])
def test_what_was_found_earlier_is_known_in_every_form_of_a_citation(content):
    first = resolve_citations(content, ())
    assert may_cite_earlier(content, first.citations)
    assert resolve_citations(content, (), [MEALS]).citations == Citations(cited=("p3q4r",))


def test_earlier_answers_are_left_alone_where_nothing_names_them():
    content = "So it is [k7f2m], [1], [sic]."
    found = resolve_citations(content, [HOTELS]).citations
    assert not may_cite_earlier(content, found)


def test_what_was_found_here_is_not_shown_again_as_found_earlier():
    assert len(resolve_citations("[k7f2m]", [HOTELS], [HOTELS, MEALS]).sources) == 1


def test_sources_without_a_label_are_not_cited():
    old = {"id": "a", "title": "of an older version"}
    assert resolve_citations("[k7f2m]", [old]).sources == ({**old, "cited": False},)


def test_where_a_citation_is_split_between_tokens_makes_no_difference():
    pieces = ["120 euros [k", "7f", "2m", "]."]
    assert cited("".join(pieces)).cited == ("k7f2m",)
    assert cited("120 euros [k7f2").cited == ()


def test_no_more_unknown_citations_are_named_than_a_reader_would_read():
    content = " ".join(f"[{number}]" for number in range(1, 900))
    assert len(cited(content).unknown) == 20


@pytest.mark.parametrize(
    "piece", ["[", "`", "``` `", "[a](", "![", "a1", "[1,", "~~~\n", "a1a1a1a1"]
)
def test_hostile_text_is_read_to_its_end(piece):
    assert cited(piece * (100_000 // len(piece))).cited == ()
