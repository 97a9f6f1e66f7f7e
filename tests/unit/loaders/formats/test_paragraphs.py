"""Lines of a page put together again."""

from loaders.formats.paragraphs import join_lines


def test_scripts_without_spaces_are_joined_without_one() -> None:
    assert list(join_lines("日本語の文章です\nこれは続きです")) == [
        "日本語の文章ですこれは続きです"
    ]
    assert list(join_lines("half of a\nsentence 日本\nand more")) == [
        "half of a sentence 日本 and more"
    ]


def test_many_lines_without_an_end_are_joined_quickly() -> None:
    [paragraph] = join_lines("word\n" * 200_000)

    assert len(paragraph) == 5 * 200_000 - 1
