"""Bytes to text when nobody says in which encoding."""

import codecs
import encodings
import pkgutil
import re
from contextlib import suppress

from charset_normalizer import from_bytes

from loaders.alphabets import latin_encoding
from loaders.errors import UnreadableDocument, UnsupportedMedia

_SAMPLE_BYTES = 256 * 1024
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    # UTF-32's mark begins with UTF-16's, so it is asked first.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_NONSENSE = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f\ue000-\uf8ff\ufffe\uffff]")
_NONSENSE_SHARE = 0.02
_WESTERN = frozenset({"ascii", "iso8859-1"})
_MISLEADING = ("utf-16", "utf-32", "utf-7", "unicode", "raw", "idna", "punycode", "mbcs", "oem")
_SHIFTING = ("iso2022", "hz")
"""They change between sets of letters in the midst of a text, and pass for plain ASCII."""
_FAULT = "\ufffd"
_NOT_PLAIN = re.compile("[^\x00-\x7f\ufffd]")
_GOOD_TO_A_FAULT = 10
_NUL_SHARE_OF_UTF16 = 0.3
_ACCENTED_SHARE_OF_LATIN = 0.3
_LONGEST_ACCENTED_RUN = 4


def decode(data: bytes, *, declared: str | None = None) -> str:
    """The text of a file, without a byte order mark and with line feeds as line ends.

    Args:
        data: the whole file.
        declared: an encoding that the file itself names, tried before guessing.

    Raises:
        UnsupportedMedia: these bytes are no text in any encoding.
        UnreadableDocument: they are text with bytes in it that are no text.
    """
    encoding = _usable(declared)
    if encoding is not None and encoding.startswith(_SHIFTING):
        text = _decode_as(data, encoding)
        if text is not None:
            return _with_line_feeds(text)
    for attempt in (_decode_marked, _decode_wide, _decode_utf8):
        text = attempt(data)
        if text is not None:
            break
    else:
        text = _decode_as(data, encoding) or _decode_damaged_utf8(data) or _decode_legacy(data)
    if "\x00" in text:
        raise UnreadableDocument("the file looks like text but holds NUL bytes")
    nonsense = len(_NONSENSE.findall(text[:_SAMPLE_BYTES]))
    if nonsense > _NONSENSE_SHARE * min(len(text), _SAMPLE_BYTES):
        raise UnsupportedMedia("the file is not text, nor of another kind that can be read")
    return _with_line_feeds(text)


def warm_up() -> None:
    """Load every codec: a process without rights may find none of them any more."""
    for module in pkgutil.iter_modules(encodings.__path__):
        with suppress(LookupError):  # some are no codecs, some are there on other systems alone
            codecs.lookup(module.name)


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decode_marked(data: bytes) -> str | None:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding)
            except UnicodeDecodeError as exc:
                raise UnreadableDocument(f"the file is marked as {encoding} but is not") from exc
    return None


def _decode_utf8(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _decode_damaged_utf8(data: bytes) -> str | None:
    """UTF-8 with some wrong bytes, or cut in a letter: other encodings look like it by chance only.

    Read in another one, all letters that are not plain would be wrong.
    """
    text = data.decode("utf-8", "replace")
    good = len(_NOT_PLAIN.findall(text))
    faults = text.count(_FAULT) - text.endswith(_FAULT)
    return text if good and good >= _GOOD_TO_A_FAULT * faults else None


def _usable(declared: str | None) -> str | None:
    """The codec that a file names, unless it is one in which no file is written, or none at all.

    Western names mean Windows' set of letters, as they do to every browser. What is said in
    letters of one byte is not written in letters of two or four.
    """
    try:
        name = codecs.lookup(declared or "").name
    except (LookupError, ValueError):
        return None
    if name in _WESTERN:
        return "cp1252"
    return None if name.startswith(_MISLEADING) else name


def _decode_as(data: bytes, encoding: str | None) -> str | None:
    if encoding is None:
        return None
    try:
        return data.decode(encoding)
    except (LookupError, UnicodeError):
        return None


def _decode_wide(data: bytes) -> str | None:
    """UTF-16 without a mark gives itself away by the NULs of its western letters."""
    sample = data[:_SAMPLE_BYTES]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    enough = _NUL_SHARE_OF_UTF16 * len(sample) / 2
    encoding = None
    if odd > enough and even * 10 < odd:
        encoding = "utf-16-le"
    elif even > enough and odd * 10 < even:
        encoding = "utf-16-be"
    if encoding is None:
        return None
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _decode_legacy(data: bytes) -> str:
    sample = data[:_SAMPLE_BYTES]
    controls = len(_CONTROLS.findall(sample.decode("latin-1")))
    if b"\x00" in sample or controls > _NONSENSE_SHARE * len(sample):
        raise UnsupportedMedia("the file is not text, nor of another kind that can be read")
    for encoding in (_legacy_encoding(sample), "cp1252"):
        try:
            return data.decode(encoding)
        except (LookupError, UnicodeError):
            continue
    return data.decode("latin-1")


def _legacy_encoding(sample: bytes) -> str:
    """By the alphabet when single accented letters stand among plain ones; by statistics else."""
    runs = re.findall(rb"[\x80-\xff]+", sample)
    letters = len(re.findall(rb"[A-Za-z]", sample))
    high = sum(map(len, runs))
    if high < _ACCENTED_SHARE_OF_LATIN * (letters + 1) and all(
        len(run) <= _LONGEST_ACCENTED_RUN for run in runs
    ):
        return latin_encoding(sample)
    best = from_bytes(sample).best()
    return best.encoding if best is not None else "cp1252"
