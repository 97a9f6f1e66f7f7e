"""Makes what others wrote fit to be read by a model as data.

A document, a page or a foreign tool can say anything, also what looks like the end of its own
quotation, like the operator speaking, or like nothing at all. What is changed here is only the
model's copy: people are shown the text as it is.

What does not show goes; what only a chat template may say is broken up, and what looks like one of
our citations; lines that begin like another speaker's turn are marked as quoted. Look-alikes count
as what they look like.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator

from persistence.visible_text import CharacterTable, show
from tools.cite_labels import LABEL_SHAPE

_LOOKALIKES = str.maketrans(
    "‹〈⟨❮❬˂ᐸ≺«《⋖﹤＜›〉⟩❯❭˃ᐳ≻»》⋗﹥＞∕⁄⧸╱／｜∣│┃ǀ❘：꞉׃∶﹕"
    "аеіорсуѕԁӏһјԛԝɡαειορυνκτωıАВЕІОРСТМНКХУЅЈ",
    "<<<<<<<<<<<<<>>>>>>>>>>>>>/////||||||:::::aeiopcysdlhjqwgaeiopuvktwiABEIOPCTMHKXYSJ",
)
_ROLES = "system|assistant|user|human|developer|tool|function|operator|administrator"
_TAGS = (
    rf"\||(?:{_ROLES})|im_(?:start|end)|(?:begin|start|end)_of_|fim_|eot|bos\b|eos\b|s>|think"
    r"|<\s{0,8}/?\s{0,8}sys|instructions?\b|prompt|invoke|antml|untrusted"
)
_FENCE = r"|pass\s?age"
_BRACKETED = r"inst|system|sys|tool_calls|tool_results|available_tools|img|control_"


def _marks(tags: str) -> re.Pattern[str]:
    """What opens something that is not for a quoted text to open: `<`, `&lt;`, `[` and `|>`."""
    return re.compile(
        # The first character is matched by itself, which is what makes the search fast.
        r"[<&\[|](?:(?:(?<=<)|(?<=&)(?i:lt;?|#0{0,6}60;?|#x0{0,6}3c;?))"
        rf"(?=(?i:\s{{0,8}}/?\s{{0,8}}(?:{tags})))"
        rf"|(?<=\[)(?=(?i:\s{{0,8}}/?\s{{0,8}}(?:{_BRACKETED})\w{{0,40}}\s{{0,8}}\]))"
        r"|(?<=\|)(?=>))"
    )


_MARKS, _ALL_MARKS = _marks(_TAGS), _marks(_TAGS + _FENCE)
_SIGNS = r"(?:[^\w\n]|[\d_]){0,40}+"
_TURN = re.compile(
    rf"^(?!> )(?={_SIGNS}(?:{_ROLES}|ai|model|new instructions?|instructions?)"
    r"(?:[ _-]{1,3}(?:prompt|message|note|notice|override|instructions?|results?|response|answer"
    r"|call|output|update|command)){0,3}[^\w\n:]{0,8}:"
    rf"|[ \t]{{0,8}}#{_SIGNS}(?:{_ROLES})[^\w\n]{{0,8}}$)",
    re.IGNORECASE | re.MULTILINE,
)
_CITED = re.compile(
    rf"[\[【]\s{{0,8}}\^?{LABEL_SHAPE}(?:[\s,;^]{{1,8}}{LABEL_SHAPE}){{0,20}}\s{{0,8}}[\]】]",
    re.IGNORECASE,
)
_LABEL = re.compile(rf"(?<![\w-]){LABEL_SHAPE}(?![\w-])", re.IGNORECASE)
_CITE_ATTRIBUTE = re.compile(r"\bcite\s{0,8}(=)[\s\"'`]{0,8}[\[【]", re.IGNORECASE)

_Sign = tuple[int, int, str]
"""From where to where, and what comes in its place."""


def as_data(text: str, *, keeps_fence: bool = False, labels: Collection[str] = ()) -> str:
    """The text as a model may read it; most texts stay exactly as they are.

    Args:
        text: What somebody wrote.
        keeps_fence: Whether fences and citations may stand in it, since only we can have put
            them there.
        labels: What is broken up wherever it stands, also without brackets.
    """
    text = show(text)
    # Where a look-alike stands counts in the folded text, character for character.
    folded = text if text.isascii() else text.translate(_FOLDED)
    marks = (_MARKS if keeps_fence else _ALL_MARKS).finditer(folded)
    signs = [(m.start(), m.end(), "¦" if m[0] == "|" else "(") for m in marks]
    signs += [(turn.start(), turn.start(), "> ") for turn in _TURN.finditer(folded)]
    if not keeps_fence:
        signs += _citations_in(folded, labels)
    pieces, last = [], 0
    for start, end, sign in sorted(signs):
        pieces += [text[last:start], sign]
        last = end
    return "".join([*pieces, text[last:]]) if pieces else text


def _citations_in(folded: str, labels: Collection[str]) -> Iterator[_Sign]:
    """What would count as a citation if the model copied it."""
    places: set[int] = set()
    if "[" in folded or "【" in folded:
        for attribute in _CITE_ATTRIBUTE.finditer(folded):
            yield (*attribute.span(1), ":")
        for bracket in _CITED.finditer(folded):
            places.update(label.start() for label in _LABEL.finditer(folded, *bracket.span()))
    if labels:
        found = _LABEL.finditer(folded)
        places.update(label.start() for label in found if label[0].lower() in labels)
    for place in places:
        yield (place + 2, place + 2, "-")


def as_one_line(text: str, limit: int, *, labels: Collection[str] = ()) -> str:
    """The same for a title or a heading that stands in a quoted attribute."""
    line = " ".join(as_data(text, labels=labels).translate(_ATTRIBUTE).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _fold(char: str) -> str:
    """One character that looks the same, of the plain ones if there is one."""
    plain = unicodedata.normalize("NFKC", char)
    return (plain if len(plain) == 1 else char).translate(_LOOKALIKES)


_FOLDED = CharacterTable(_fold)
_ATTRIBUTE = str.maketrans({'"': "'", "<": "(", ">": ")"})
