"""What the tables at the head of an RTF document say: fonts' letters and styles' levels."""

import codecs
import re

from striprtf.striprtf import charset_map

_FONT = re.compile(r"\\f(\d{1,5})(?!\d)|\\fcharset(\d{1,3})|[{};]")
_STYLE = re.compile(r"\{(?:\\\*)?\\s(\d{1,5})\b([^{}]*)")
_ANY_STYLE = re.compile(r"\{(?:\\\*)?\\c?s(\d{1,5})\b([^{}]*)")
_HIDDEN = re.compile(r"\\v(?![a-z0-9])|\\v[1-9]")
_WHITE_PARTS = re.compile(r"\\(?:red|green|blue)255(?!\d)")
_GROUND = re.compile(
    r"\\(?:(?:c|clc|chc|trc)bpat|(?:ch|cl|tr)?shdng|highlight|cb|shading|shp|do|pict|background)"
    r"(?![a-z])"
)
_LEVEL = re.compile(r"\\outlinelevel(\d)")
_HEADING_NAME = re.compile(r"(?:\A|\s)heading (\d)\s*\Z", re.I)
_CODE_PAGE = re.compile(r"\\ansicpg(\d{2,5})")
_DEFAULT_FONT = re.compile(r"\\deff(\d{1,5})")
_BRACE = re.compile(r"\\[\\{}]|[{}]|\\bin(\d{1,9}) ?")
_CODE = re.compile(r"\\'[0-9a-fA-F]{2}|\\[a-zA-Z]{1,32}-?\d* ?\??|[\\{}\r\n]")
_LABEL = re.compile(r"[([]?[0-9A-Za-z.]{1,12}[.)\]:]?")
_FROM_A_FONT_OF_SIGNS = re.compile(r"[A-Za-z]")
_LONGEST_LABEL_CODES = 1024
_HEAD_CHARS = 1024
_TABLE_WITHIN_CHARS = 4 * 1024 * 1024
_DEEPEST_HEADING = 9
_WESTERN = "cp1252"
_USUAL_CHARSETS = frozenset({0, 1, 42})


def group_end(text: str, start: int) -> int:
    """Where the group that `start` is in ends: behind its closing brace."""
    depth, position = 1, start
    while depth:
        found = _BRACE.search(text, position)
        if found is None:
            return len(text)
        position = found.end() + int(found[1] or 0)
        if found[0] == "{":
            depth += 1
        elif found[0] == "}":
            depth -= 1
    return position


def code_page(text: str) -> str:
    """The encoding of bytes that no font says more of."""
    found = _CODE_PAGE.search(text[:_HEAD_CHARS])
    return _WESTERN if found is None else _CODE_PAGES.get(int(found[1]), _WESTERN)


def default_font(text: str) -> int:
    """The font of text for which none is named."""
    found = _DEFAULT_FONT.search(text[:_HEAD_CHARS])
    return int(found[1]) if found else 0


def font_encodings(text: str) -> dict[int, str]:
    """The encodings of bytes in each font; a font of the usual letters has none."""
    encodings: dict[int, str] = {}
    number: int | None = None
    for font, charset in _FONT.findall(_table(text, "fonttbl")):
        if font:
            number = int(font)
        elif not charset:
            number = None
        elif number is not None and int(charset) in _ENCODINGS:
            encodings[number] = _ENCODINGS[int(charset)]
    return encodings


def read_label(group: str) -> str:
    """The number before the item of a list, as the program that wrote it counted; no bullet."""
    label = _CODE.sub("", group[:_LONGEST_LABEL_CODES]).strip()
    is_number = _LABEL.fullmatch(label) and not _FROM_A_FONT_OF_SIGNS.fullmatch(label)
    return label if is_number else ""


def heading_levels(text: str) -> dict[int, int]:
    """The levels of the styles that are headings."""
    levels = {}
    for number, style in _STYLE.findall(_table(text, "stylesheet")):
        said, end, _ = style.partition(";")
        properties, _, name = said.rpartition("\\")
        if not end:
            continue
        named, outlined = _HEADING_NAME.search(name), _LEVEL.search(properties)
        level = int(named[1]) if named else int(outlined[1]) + 1 if outlined else 0
        if 0 < level <= _DEEPEST_HEADING:
            levels[int(number)] = level
    return levels


def hidden_styles(text: str) -> frozenset[int]:
    """The styles of paragraphs and letters under which nothing is seen."""
    return frozenset(
        int(number)
        for number, properties in _ANY_STYLE.findall(_table(text, "stylesheet"))
        if _HIDDEN.search(properties)
    )


def unseen_colours(text: str) -> frozenset[int]:
    """The colours that are white, if nothing in the file can make the ground another."""
    colours = _table(text, "colortbl").split(";")
    white = frozenset(
        number for number, each in enumerate(colours) if len(set(_WHITE_PARTS.findall(each))) == 3
    )
    return frozenset() if white and _GROUND.search(text) else white


def _table(text: str, name: str) -> str:
    start = text.find(f"{{\\{name}", 0, _TABLE_WITHIN_CHARS)
    return "" if start < 0 else text[start : group_end(text, start + 1)][:_TABLE_WITHIN_CHARS]


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        return _WESTERN


# Looked up now: a process that reads files may not be able to load a codec any more.
_ENCODINGS = {
    charset: _known(encoding)
    for charset, encoding in charset_map.items()
    if charset not in _USUAL_CHARSETS
}
_CODE_PAGES = {
    page: _known(f"cp{page}")
    for page in (437, 819, 850, 852, 855, 857, 858, *range(860, 867), 869, 874, 932, 936, 949, 950,
                 *range(1250, 1259), 1361, 65001)
}  # fmt: skip
