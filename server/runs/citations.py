"""What an answer cites, held against what was found for it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.cite_labels import LABEL_SHAPE

FoundSource = Mapping[str, Any]

CITATION_UNKNOWN = "CITATION_UNKNOWN"
SHOWN_UNKNOWN = 20
"""How many of the unknown citations are named; a model that goes astray may write any number."""

_LABEL = re.compile(rf"(?<![\w-]){LABEL_SHAPE}(?![\w-])", re.IGNORECASE)
_UUID = re.compile(r"(?<![\w-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w-])", re.IGNORECASE)
_BRACKETS = re.compile(r"[\[【]([^\[\]【】\n]{1,200})[\]】]")
_NUMBERS = re.compile(r"\s*\^?[1-9]\d{0,2}(?:\s*[,;–-]\s*\^?[1-9]\d{0,2})*\s*")
_NUMBER = re.compile(r"\d+")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_TICKS = re.compile(r"`+")
_IMAGE = re.compile(r"!\[[^\[\]\n]{0,300}\]\([^()\n]{0,2000}\)")
_LINK = re.compile(r"\[([^\[\]\n]{0,300})\]\([^()\n]{0,2000}\)")
_DEFINITION = re.compile(r"^ {0,3}\[[^\[\]\n]{1,300}\]:[ \t]*\S*", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Citations:
    """The labels that an answer names, each once, in the order in which it names them."""

    cited: tuple[str, ...] = ()
    """Of passages that were found for this answer or earlier in its session."""
    unknown: tuple[str, ...] = ()
    """Of nothing that was found; among them numbers such as `1`, which are no labels of ours."""

    def as_json(self) -> dict[str, list[str]]:
        """The form in which it is shown and stored."""
        return {"cited": list(self.cited), "unknown": list(self.unknown)}


@dataclass(frozen=True, kw_only=True)
class CitedSources:
    """The sources of an answer, marked, and what it cites."""

    sources: tuple[FoundSource, ...]
    citations: Citations


def resolve_citations(
    content: str, found: Sequence[FoundSource], earlier: Sequence[FoundSource] = ()
) -> CitedSources:
    """Mark what an answer cites.

    A label counts wherever it stands in the prose, in a link's text and in inline code as well:
    it cannot stand there by chance. What denotes nothing is only reported from square brackets in
    prose. A bare number counts as such when something was found, since a reader would take it for
    a reference to that; in other answers it is whatever its text means by it.

    Args:
        content: The whole answer.
        found: What tools found for it, in their order.
        earlier: What they found earlier in the session; what of it is cited comes last.
    """
    if not (found or earlier) and "[" not in content and "【" not in content:
        return CitedSources(sources=(), citations=Citations())
    text = _IMAGE.sub(" ", _without_code_blocks(content))
    labels = _by_label((*found, *earlier))
    named = [_label_of(name, labels) for name in _names_in(_LINK.sub(r" \1 ", text))]
    cited = tuple(dict.fromkeys(label for label in named if label is not None))
    here = {source["id"] for source in found}
    theirs = {s["id"]: s for label in cited for s in labels[label] if s["id"] not in here}
    return CitedSources(
        sources=(
            *({**source, "cited": source.get("label") in cited} for source in found),
            *({**source, "cited": True} for source in theirs.values()),
        ),
        citations=Citations(cited=cited, unknown=tuple(_unknown_in(text, labels, bool(found)))),
    )


def may_cite_earlier(content: str, citations: Citations) -> bool:
    """Whether an answer names what could be a label, and is none of what was found for it."""
    return any(name not in citations.cited for name in _names_in(content))


def unknown_citations_event(citations: Citations) -> dict[str, Any]:
    """The data of the `log` event that says so."""
    named = ", ".join(f"[{label}]" for label in citations.unknown)
    return {
        "level": "warning",
        "code": CITATION_UNKNOWN,
        "message": f"The answer cites what was not retrieved: {named}.",
    }


def _by_label(sources: Iterable[FoundSource]) -> dict[str, list[FoundSource]]:
    """The sources by label; those of this answer come before others of the same label."""
    labels: dict[str, list[FoundSource]] = {}
    for source in sources:
        if label := source.get("label"):
            known = labels.setdefault(label, [])
            if all(source["id"] != other["id"] for other in known):
                known.append(source)
    return labels


def _names_in(text: str) -> Iterator[str]:
    """All that could be a label or an id, in the order of the text."""
    names = [(found.start(), found[0].lower()) for found in _LABEL.finditer(text)]
    if "-" in text:
        names += [(found.start(), found[0].lower()) for found in _UUID.finditer(text)]
    return (name for _, name in sorted(names))


def _label_of(name: str, labels: Mapping[str, Sequence[FoundSource]]) -> str | None:
    if name in labels:
        return name
    if "-" not in name:
        return None
    return next(
        (label for label, sources in labels.items() if any(s["id"] == name for s in sources)), None
    )


def _unknown_in(text: str, labels: Mapping[str, Any], has_found: bool) -> list[str]:
    prose = _DEFINITION.sub(" ", _LINK.sub(" ", _without_inline_code(text)))
    unknown: dict[str, None] = {}
    for bracket in _BRACKETS.finditer(prose):
        inside = bracket[1]
        if has_found and _NUMBERS.fullmatch(inside):
            unknown |= dict.fromkeys(_NUMBER.findall(inside))
        unknown |= dict.fromkeys(
            name for found in _LABEL.finditer(inside) if (name := found[0].lower()) not in labels
        )
        if len(unknown) >= SHOWN_UNKNOWN:
            break
    return list(unknown)[:SHOWN_UNKNOWN]


def _without_code_blocks(text: str) -> str:
    if "```" not in text and "~~~" not in text:
        return text
    kept, closing = [], ""
    for line in text.split("\n"):
        fence = _FENCE.match(line)
        if closing:
            if fence and fence[1].startswith(closing) and not line.strip().strip(closing[0]):
                closing = ""
        elif fence:
            closing = fence[1]
        else:
            kept.append(line)
    return "\n".join(kept)


def _without_inline_code(text: str) -> str:
    """The text without what stands between two runs of as many backticks."""
    runs = list(_TICKS.finditer(text))
    later: dict[int, list[int]] = {}
    for place in range(len(runs) - 1, -1, -1):
        later.setdefault(len(runs[place][0]), []).append(place)
    kept, end, place = [], 0, 0
    while place < len(runs):
        same = later[len(runs[place][0])]
        while same and same[-1] <= place:
            same.pop()
        if not same:
            place += 1
            continue
        kept.append(text[end : runs[place].start()])
        end, place = runs[same[-1]].end(), same[-1] + 1
    return " ".join([*kept, text[end:]])
