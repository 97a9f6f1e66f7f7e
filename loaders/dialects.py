"""What a text is written in: told by its content where that is certain, else by its name."""

import re

from loaders.formats.delimiters import find_delimiter
from loaders.formats.json import is_json, is_json_lines
from loaders.media_type import MediaType, RecognisedFile

# fmt: off
_BY_SUFFIX = {
    MediaType.MARKDOWN: {".md", ".markdown", ".mdown", ".mkd"},
    MediaType.RST: {".rst", ".rest"},
    MediaType.LOG: {".log"},
    MediaType.CODE: {
        ".py", ".js", ".mjs", ".ts", ".tsx", ".jsx", ".java", ".kt", ".c", ".h", ".cc", ".cpp",
        ".hpp", ".cs", ".go", ".rs", ".rb", ".php", ".swift", ".scala", ".sh", ".bash", ".ps1",
        ".bat", ".sql", ".r", ".lua", ".pl", ".css", ".scss", ".toml", ".ini", ".cfg", ".conf",
        ".yaml", ".yml", ".properties", ".env", ".tf", ".proto", ".gradle", ".diff", ".patch",
    },
}
# fmt: on
_SUFFIXES = {suffix: kind for kind, suffixes in _BY_SUFFIX.items() for suffix in suffixes}
_HTML_SUFFIXES = frozenset({".html", ".htm", ".xhtml"})
_TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".tab"})
_JSON_SUFFIXES = frozenset({".json", ".geojson"})
_JSON_LINES_SUFFIXES = frozenset({".jsonl", ".ndjson"})

_HEAD_CHARS = 4096
_HTML_START = re.compile(
    # Comments are taken once and for all: given back, each would be looked for again in all others.
    r"\s*+(<\?xml[^>]*\?>\s*+)?(?:<!--.*?-->\s*+)*+<(!doctype\s+html|html|head|body)\b",
    re.I | re.S,
)
_HTML_TAG = re.compile(r"<(p|div|span|h[1-6]|table|ul|ol|br|a|section|article)\b[^>]*>", re.I)
_XML_START = re.compile(r"\s*<(\?xml\s|!DOCTYPE\s)")
_XML_ROOT = re.compile(r"\s*<[A-Za-z_!?]")
_WEBVTT_START = re.compile(r"WEBVTT(?:[ \t\n]|\Z)")
_SUBRIP_START = re.compile(r"\s*\d+[ \t]*\n\d\d?:\d\d:\d\d[,.]\d{3}[ \t]+-->[ \t]+\d\d?:\d\d")


def recognise_dialect(data: bytes, text: str, suffix: str) -> RecognisedFile:
    """What the text is; plain text when nothing else is certain or claimed.

    Args:
        data: the file as it came.
        text: the same, decoded.
        suffix: the end of its name, in lower case.
    """
    delimiter = None
    kind = _by_beginning(text[:_HEAD_CHARS], suffix) or _json(text, suffix) or _SUFFIXES.get(suffix)
    if kind is None:
        delimiter = find_delimiter(text, claimed=suffix in _TABLE_SUFFIXES)
        kind = MediaType.TEXT if delimiter is None else MediaType.CSV
        kind = MediaType.TSV if delimiter == "\t" else kind
    return RecognisedFile(media_type=kind, data=data, text=text, delimiter=delimiter)


def _by_beginning(head: str, suffix: str) -> MediaType | None:
    if _HTML_START.match(head) or (suffix in _HTML_SUFFIXES and _HTML_TAG.search(head)):
        return MediaType.HTML
    if _XML_START.match(head) or (suffix == ".xml" and _XML_ROOT.match(head)):
        return MediaType.XML
    if _WEBVTT_START.match(head):
        return MediaType.WEBVTT
    if _SUBRIP_START.match(head):
        return MediaType.SUBRIP
    return None


def _json(text: str, suffix: str) -> MediaType | None:
    """Named so, it is JSON when it begins so: what is damaged must not pass for prose."""
    if suffix in _JSON_LINES_SUFFIXES and text.lstrip()[:1] in {"{", "["}:
        return MediaType.JSON_LINES
    if suffix in _JSON_SUFFIXES and text.lstrip()[:1] in {"{", "["}:
        return MediaType.JSON
    if suffix in _SUFFIXES or suffix in _TABLE_SUFFIXES:
        return None
    if is_json(text):
        return MediaType.JSON
    return MediaType.JSON_LINES if is_json_lines(text) else None
