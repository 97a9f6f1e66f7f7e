"""reStructuredText, without what it can do to its reader: include files, run roles of others."""

import io

from docutils import nodes
from docutils.core import publish_doctree, publish_from_doctree
from docutils.parsers.rst.directives import (  # noqa: F401 - loaded by name at first use else
    admonitions,
    body,
    images,
    misc,
    parts,
    references,
    tables,
)
from docutils.writers import html5_polyglot

from loaders.document import Element, ElementKind
from loaders.formats import html as web_page
from loaders.formats import text as plain_text

_LONGEST_LINE_CHARS = 10_000
_STUMBLES = (AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What docutils raises instead of a complaint: some broken tables break its own assumptions."""
_AS_WRITTEN = "(The markup of this document is broken; it is read as plain text.)"
_NEVER = 5
_SETTINGS = {
    "_disable_config": True,
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": _NEVER,
    "halt_level": _NEVER,
    "traceback": True,
    "syntax_highlight": "none",
    "math_output": "LaTeX",
    "smart_quotes": False,
    "cloak_email_addresses": False,
    "stylesheet_path": None,
    "embed_stylesheet": False,
    "line_length_limit": _LONGEST_LINE_CHARS,
}


class _BodyWriter(html5_polyglot.Writer):
    """The page without the frame around it, which would be read from a file."""

    html_body: list[str]

    def apply_template(self) -> str:
        """The body alone."""
        return "".join(self.html_body)


def load(text: str) -> list[Element]:
    """The text by its headings, lists, tables and code.

    What only other programs understand, such as the directives of Sphinx, stays as it is written,
    and so does all of a text over which docutils stumbles.
    """
    if any(len(line) > _LONGEST_LINE_CHARS for line in text.split("\n")):
        return plain_text.load(text)
    try:
        return _read(text)
    except _STUMBLES:
        return [Element(kind=ElementKind.TEXT, text=_AS_WRITTEN), *plain_text.load(text)]


def _read(text: str) -> list[Element]:
    settings = {**_SETTINGS, "warning_stream": io.StringIO()}
    document = publish_doctree(text, settings_overrides=settings)
    for message in list(document.findall(nodes.system_message)):
        _replace_by_its_source(message)
    page = publish_from_doctree(
        document,
        writer=_BodyWriter(),
        settings_overrides={**settings, "output_encoding": "unicode"},
    )
    return web_page.load(f"<html><body>{page}</body></html>")


def _replace_by_its_source(message: nodes.system_message) -> None:
    """Leave the lines that were not understood in the place of the complaint about them."""
    source = [child for child in message.children if isinstance(child, nodes.literal_block)]
    message.parent.replace(message, source)
