"""What documents are called, where what they call themselves says something."""

import re
from collections.abc import Sequence
from pathlib import PurePath

from loaders.document import Element, ElementKind
from loaders.media_type import MediaType

_LONGEST_TITLE_CHARS = 200
_NAMED_BY_PROGRAMS = re.compile(
    r"""
    microsoft\ (?:office\ )?(?:word|excel|powerpoint|publisher|visio)\ -.*
    | (?:new\ |neues?\ )?(?:microsoft\ )?(?:word|excel|powerpoint)[\ -]
      (?:document|dokument|worksheet|workbook|presentation|präsentation)
    | présentation\ powerpoint | presentación\ de\ powerpoint
    | presentazione\ standard\ di\ powerpoint
    | (?:untitled|unbenannt|ohne\ titel|sans\ titre|sin\ título|senza\ titolo|no\ title|title|titel
      |document|dokument|documento|presentation|präsentation|présentation|presentación
      |presentazione|workbook|book|mappe|classeur|libro|cartel|worksheet|sheet|tabelle|slide)
      (?:\ document)?[\ _-]?\(?\d*\)?
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What programs write as a title where nobody has given one."""
_FIRST_SECTION = re.compile(r"1[.)]?\s")
_CALLED_BY_SENDERS = frozenset({MediaType.EMAIL, MediaType.MAILBOX})
_SHEETS = frozenset({MediaType.XLSX, MediaType.XLS, MediaType.ODS})
"""Their outermost headings are the names of sheets."""


def find_title(
    own: str | None, elements: Sequence[Element], media_type: MediaType, filename: str
) -> str:
    """What a document is called: as it calls itself, by its outermost heading, or by its file."""
    if own is not None and media_type not in _CALLED_BY_SENDERS and _says_nothing(own):
        own = None
    if not own and media_type not in _SHEETS:
        own = _outermost_heading(elements)
    return choose_title(own, filename)


def choose_title(own: str | None, filename: str) -> str:
    """What a document is called: as it calls itself, else by its file's name."""
    title = " ".join((own or PurePath(filename).stem or filename).split())
    return title[:_LONGEST_TITLE_CHARS] or "untitled"


def _says_nothing(title: str) -> bool:
    return _NAMED_BY_PROGRAMS.fullmatch(" ".join(title.split())) is not None


def _outermost_heading(elements: Sequence[Element]) -> str | None:
    """The first one, if it is above the others and does not only begin the first section."""
    first = next((each for each in elements if each.kind is ElementKind.HEADING), None)
    if first is None or first.level != 1 or _FIRST_SECTION.match(first.text):
        return None
    return None if _says_nothing(first.text) else first.text
