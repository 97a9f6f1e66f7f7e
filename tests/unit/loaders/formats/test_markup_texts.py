"""reStructuredText and XML."""

from pathlib import Path

import pytest

from loaders.document import Element, ElementKind
from loaders.errors import UnreadableDocument
from loaders.formats import rst, xml

RST = """
========
Handbook
========

Thirty *days*.

How to ask
----------

.. note:: Ask early.

- ask
- go

.. code-block:: python

   x = 1
     y

+---+---+
| a | b |
+===+===+
| 1 | 2 |
+---+---+
"""


def test_rst_is_read_by_its_structure() -> None:
    assert rst.load(RST) == [
        Element(kind=ElementKind.HEADING, text="Handbook", level=1),
        Element(kind=ElementKind.TEXT, text="Thirty days."),
        Element(kind=ElementKind.HEADING, text="How to ask", level=2),
        Element(kind=ElementKind.TEXT, text="Note"),
        Element(kind=ElementKind.TEXT, text="Ask early."),
        Element(kind=ElementKind.LIST_ITEM, text="ask"),
        Element(kind=ElementKind.LIST_ITEM, text="go"),
        Element(kind=ElementKind.CODE, text="x = 1\n  y"),
        Element(kind=ElementKind.TABLE, text="a | b\n1 | 2"),
    ]


def test_rst_opens_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("a,hidden word")
    source = (
        f".. include:: {secret}\n\n.. csv-table:: x\n   :file: {secret}\n\n"
        f".. raw:: html\n   :file: {secret}\n\n.. literalinclude:: {secret}\n\nSeen.\n"
    )

    text = "\n".join(each.text for each in rst.load(source))

    assert "Seen." in text
    assert "hidden word" not in text


def test_rst_runs_no_markup_of_others() -> None:
    elements = rst.load(".. raw:: html\n\n   <h1>Injected</h1>\n\nSeen.\n")

    assert [each.kind for each in elements] == [ElementKind.CODE, ElementKind.TEXT]


def test_what_only_sphinx_understands_stays_as_it_is_written() -> None:
    elements = rst.load("See :ref:`leave`.\n\n.. versionadded:: 2.0\n   Half days.\n\nEnd.\n")

    assert [each.text for each in elements] == [
        "See :ref:`leave`.",
        ".. versionadded:: 2.0\n   Half days.",
        "End.",
    ]


def test_faults_of_rst_are_not_among_its_text() -> None:
    text = " ".join(
        each.text for each in rst.load("Bad `link`_ and |name|\n\nTitle\n--\n\n*open\n")
    )

    assert "System Message" not in text
    assert all(word in text for word in ("Bad", "link", "name", "Title", "open"))


def test_a_line_too_long_for_rst_is_read_as_plain_text() -> None:
    line = "word " * 100_000

    assert rst.load(f"Title\n=====\n\n{line}\n")[-1].text.count("word") == 100_000


def test_xml_gives_its_text_without_markup() -> None:
    elements = xml.load(
        '<?xml version="1.0" encoding="latin-1"?>\n<!DOCTYPE book>\n<book><!-- evil --><?pi x?>'
        "<title>Leave</title><year>2024</year>"
        "<para>Thirty <b>days</b> of it.</para><row><a>1</a><b/><c>2</c></row>"
        "<row><a><![CDATA[<3>]]></a></row></book>"
    )

    assert [each.text for each in elements] == ["Leave\n2024", "Thirty days of it.", "1\n2", "<3>"]


@pytest.mark.parametrize(
    "source",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1/x.dtd"> %x;]><a/>',
        '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        "<a><b></a>",
        "<a>",
        "<a>&undeclared;</a>",
        "<a>" * 100_000,
        "<?xml version='1.0'?>",
    ],
)
def test_xml_with_entities_or_without_end_is_refused(source: str) -> None:
    with pytest.raises(UnreadableDocument):
        xml.load(source)


def test_deep_and_wide_xml_is_read_without_recursion() -> None:
    deep = "<a>" * 2_000 + "core" + "</a>" * 2_000
    wide = "<r>" + "<v>1</v>" * 50_000 + "</r>"

    assert [each.text for each in xml.load(deep)] == ["core"]
    assert xml.load(wide)[0].text.count("1") == 50_000


def test_a_table_over_which_the_parser_stumbles_is_read_as_plain_text_and_that_is_said() -> None:
    table = "+----+----+----+\n+----+----+-x--+\n+----+---------+\n+----+----+----+\n"

    note, *texts = [each.text for each in rst.load(f"Title\n=====\n\nBefore.\n\n{table}\nAfter.\n")]

    assert "plain text" in note
    assert all(
        word in " ".join(texts) for word in ("Title", "Before.", "+----+----+-x--+", "After.")
    )
