"""`python -m tools.web.conversion`: one HTML page on standard input, its Markdown on the output.

A process of its own, for pages are hostile: it lives seconds, has limits that it cannot lift, and
knows nothing. The first line of the input says in JSON what the page is and what it may cost.
"""

import codecs
import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

import lxml.html  # type: ignore[import-untyped]
import trafilatura
from lxml import etree

_MIB = 1024 * 1024
_NOBODY = 65_534
_NICE = 10
"""Nobody's answer waits for a page as others wait for the processor."""
_SET_PARENT_DEATH_SIGNAL, _SET_NO_NEW_PRIVILEGES = 1, 38  # prctl(2)
_SAMPLE = b"<html><body><p>\xe9</p></body></html>"
_UNSEEN = (
    "//script | //style | //noscript | //template | //iframe | //object | //svg"
    " | //*[@hidden] | //*[@aria-hidden='true']"
    " | //*[contains(translate(@style, 'DISPLAYNOE ', 'displaynoe'), 'display:none')]"
    " | //*[contains(translate(@style, 'VISBLTYHDEN ', 'visbltyhden'), 'visibility:hidden')]"
)


def main() -> None:
    """Convert what comes on standard input."""
    head = json.loads(sys.stdin.buffer.readline())
    page = sys.stdin.buffer.read()
    # What is loaded at first use may not be readable afterwards.
    convert(_SAMPLE, url="http://localhost/", charset=None)
    _bind(seconds=head["seconds"], memory_mib=head["memory_mib"])
    answer = convert(page, url=head["url"], charset=head["charset"])
    sys.stdout.buffer.write(json.dumps(answer).encode("ascii"))


def convert(page: bytes, *, url: str, charset: str | None) -> dict[str, Any]:
    """The page's title, and what it says without what stands around it."""
    root = _parse(_decode(page, charset))
    if root is None:
        return {"title": "", "markdown": ""}
    title = " ".join((root.findtext(".//title") or "").split())
    for element in root.xpath(_UNSEEN):
        if element.getparent() is not None:
            element.drop_tree()
    markdown = trafilatura.extract(
        root,
        url=url,
        output_format="markdown",
        include_comments=False,
        include_links=True,
        include_tables=True,
        favor_recall=True,
    )
    # What is no article has no main part to be found.
    return {"title": title, "markdown": markdown or trafilatura.html2txt(root)}


def _decode(page: bytes, charset: str | None) -> str | None:
    """The text as the server says that it is written; None leaves it to what the page says."""
    for mark, name in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16")):
        if page.startswith(mark):
            return page.decode(name, "replace")
    try:
        return page.decode(charset or "utf-8", "replace" if charset else "strict")
    except (LookupError, UnicodeError):
        decoded = trafilatura.utils.decode_file(page)
        return decoded if isinstance(decoded, str) else None


def _parse(text: str | None) -> Any:
    if not text or not text.strip():
        return None
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        return lxml.html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        return None


def _bind(*, seconds: float, memory_mib: int) -> None:
    """Take from this process, for good, what it does not need."""
    os.nice(_NICE)
    for limit, value in (
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_AS, memory_mib * _MIB),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        # Changing the user takes the death signal back, so it comes last.
        libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main()
