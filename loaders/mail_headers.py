"""Telling an e-mail by the lines it begins with."""

import re

from loaders.media_type import MediaType

_HEADER = re.compile(rb"([!-9;-~]+):(?:[ \t].*|\r?$)")
_MAILBOX_LINE = re.compile(rb"From \S+ .*\d{4}")
_WITHIN_BYTES = 64 * 1024
_CERTAIN = frozenset({b"from", b"received", b"message-id", b"return-path", b"delivered-to"})
_USUAL = _CERTAIN | {b"to", b"subject", b"date", b"mime-version", b"content-type", b"cc", b"sender"}
_TO_BE_SURE = 2


def recognise_mail(data: bytes, suffix: str) -> MediaType | None:
    """Whether it is an e-mail, or a box of them; None for all else.

    Args:
        data: the file.
        suffix: the end of its name, which makes one usual header enough.
    """
    lines = data[:_WITHIN_BYTES].removeprefix(b"\xef\xbb\xbf").split(b"\n")
    is_box = _MAILBOX_LINE.match(lines[0]) is not None
    names = _header_names(lines[1:] if is_box else lines)
    usual = len(names & _USUAL)
    if usual < (1 if suffix == ".eml" else _TO_BE_SURE):
        return None
    if suffix != ".eml" and not names & _CERTAIN:
        return None
    return MediaType.MAILBOX if is_box else MediaType.EMAIL


def _header_names(lines: list[bytes]) -> set[bytes]:
    """The headers before the first empty line; none when something else stands among them."""
    names: set[bytes] = set()
    for line in lines:
        if not line.strip():
            break
        if names and line[:1] in {b" ", b"\t"}:
            continue
        header = _HEADER.match(line)
        if header is None:
            return set()
        names.add(header[1].lower())
    return names
