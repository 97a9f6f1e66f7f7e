"""The headings that a file lists itself."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice

import pypdfium2 as pdfium

from loaders.formats.pdf.structure import Bookmark

_MOST_BOOKMARKS = 10_000
_DEEPEST_LEVEL = 6


def read_outline(document: pdfium.PdfDocument) -> Mapping[int, Sequence[Bookmark]]:
    """The bookmarks by the page that they lead to, counted from 1."""
    by_page = defaultdict(list)
    for each in islice(document.get_toc(max_depth=_DEEPEST_LEVEL), _MOST_BOOKMARKS):
        destination = each.get_dest()
        index = destination.get_index() if destination is not None else None
        title = " ".join(each.get_title().replace("\x00", "").split())
        if index is not None and title:
            by_page[index + 1].append(Bookmark(title=title, level=each.level + 1))
    return by_page
