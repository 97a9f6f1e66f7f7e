"""Subtitles: what is said, with its times."""

from loaders.document import Element, ElementKind
from loaders.formats import subtitles

SUBRIP = """1
00:00:01,500 --> 00:00:04,000
{\\an8}<i>Good evening,</i>
and welcome.

2
00:00:20,000 --> 00:00:34,000
Tonight we talk.

3
01:00:00,000 --> 01:00:02,000
Goodbye.
"""


def _text(text: str, start: float) -> Element:
    return Element(kind=ElementKind.TEXT, text=text, start_seconds=start)


def test_what_is_said_is_told_with_its_time_and_without_its_markup() -> None:
    assert subtitles.load(SUBRIP) == [
        _text("Good evening, and welcome.", 1.5),
        _text("Tonight we talk.", 20.0),
        _text("Goodbye.", 3600.0),
    ]


def test_notes_and_styles_of_webvtt_are_left_out() -> None:
    source = (
        "WEBVTT - title\n\nSTYLE\n::cue { color: red }\n\nNOTE a remark\n\n"
        "intro\n00:01.000 --> 00:02.000 align:start\n<v Anna>Fish &amp; chips\n\n"
        "00:02.000 --> 00:03.000\nFish &amp; chips\nare good.\n"
    )

    assert subtitles.load(source) == [_text("Fish & chips are good.", 1.0)]


def test_a_paragraph_ends_with_a_sentence_after_half_a_minute() -> None:
    cues = "".join(
        f"{n}\n00:{n // 60:02}:{n % 60:02},000 --> 00:{n // 60:02}:{n % 60:02},900\nWords {n}.\n\n"
        for n in range(100)
    )

    starts = [each.start_seconds for each in subtitles.load(cues)]

    assert starts == [0.0, 31.0, 62.0, 93.0]


def test_without_sentences_a_paragraph_is_a_minute_long_at_most() -> None:
    cues = "".join(
        f"{n}\n00:{n // 60:02}:{n % 60:02},000 --> 00:{n // 60:02}:{n % 60:02},900\nand {n}\n\n"
        for n in range(130)
    )

    assert [each.start_seconds for each in subtitles.load(cues)] == [0.0, 60.0, 120.0]
