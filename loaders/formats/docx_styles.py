"""What the styles of a Word document say of the paragraphs that use them."""

import re
from dataclasses import dataclass

from loaders.formats.safe_xml import XmlElement, local_name

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
NO_HEADING = 0
NO_LIST = "0"

_DEEPEST_HEADING = 9
_FALSE = frozenset({"0", "false", "off", "none"})
_LONGEST_CHAIN = 20
_TINY_HALF_POINTS = 4
_WHITE = "FFFFFF"
_AUTOMATIC = "auto"
_HEADING_NAME = re.compile(r"heading ([1-9])")
_SETTING_OFF = frozenset(
    {"highlight", "bdr", "outline", "shadow", "emboss", "imprint", "textOutline", "textFill",
     "glow", "props3d"}
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Looks:
    """How letters look, as far as that can hide them; None where nothing is said."""

    is_vanished: bool | None = None
    is_tiny: bool | None = None
    is_white: bool | None = None
    is_set_off: bool | None = None
    """Whether white letters can be seen: by shading, or by an edge or a shadow of their own."""

    def over(self, base: "Looks") -> "Looks":
        """What holds where this is said on top of the other."""
        return Looks(
            is_vanished=base.is_vanished if self.is_vanished is None else self.is_vanished,
            is_tiny=base.is_tiny if self.is_tiny is None else self.is_tiny,
            is_white=base.is_white if self.is_white is None else self.is_white,
            is_set_off=self.is_set_off or base.is_set_off,
        )


NORMAL_LOOKS = Looks()


@dataclass(frozen=True, kw_only=True)
class Style:
    """What is asked of a style."""

    heading: int | None = None
    """The level, `NO_HEADING` where it is said to be none, None where nothing is said."""
    list_id: str | None = None
    """Which list it belongs to, `NO_LIST` where it is said to be in none."""
    list_level: int | None = None
    """Counted from 0."""
    looks: Looks = NORMAL_LOOKS
    is_contents: bool = False
    """Whether it marks a line of the table of contents, which only repeats headings."""


class Styles:
    """The styles by their ids, with what they inherit."""

    def __init__(self, root: XmlElement | None) -> None:
        found = () if root is None else root.iter(W + "style")
        self._elements = {element.get(W + "styleId", ""): element for element in found}
        self._known: dict[str, Style] = {}

    def of(self, style_id: str) -> Style:
        """A style by its id; one that says nothing for an unknown id."""
        if style_id not in self._known:
            self._known[style_id] = self._inherit(style_id)
        return self._known[style_id]

    def _inherit(self, style_id: str) -> Style:
        style = Style()
        for _ in range(_LONGEST_CHAIN):
            element = self._elements.get(style_id)
            if element is None:
                break
            style = _over(style, read_properties(element, name=_value(element, "name") or ""))
            style_id = _value(element, "basedOn") or ""
        return style


def read_properties(element: XmlElement, *, name: str = "") -> Style:
    """What the properties inside an element say: those of a style, a paragraph or a run."""
    name = name.lower()
    outline = _value(element, "pPr/outlineLvl")
    level = int(outline) + 1 if outline and outline.isdecimal() else None
    if level is not None and level > _DEEPEST_HEADING:
        level = NO_HEADING
    if level is None:
        level = _named_level(name)
    depth = _value(element, "pPr/numPr/ilvl")
    return Style(
        heading=level,
        list_id=_value(element, "pPr/numPr/numId"),
        list_level=int(depth) if depth and depth.isdecimal() and len(depth) == 1 else None,
        looks=Looks(is_set_off=is_shaded(element, "pPr/shd") or None).over(read_looks(element)),
        is_contents=name.startswith("toc ") and name != "toc heading",
    )


def read_looks(element: XmlElement) -> Looks:
    """What a run or a style says of the looks of its letters."""
    properties = element.find(W + "rPr")
    if properties is None or not len(properties):
        return NORMAL_LOOKS
    said: dict[str, XmlElement] = {local_name(child): child for child in properties}
    size = said["sz"].get(W + "val", "") if "sz" in said else ""
    vanished = [_is_true(said[each]) for each in ("vanish", "specVanish") if each in said]
    return Looks(
        is_vanished=any(vanished) if vanished else None,
        is_tiny=int(size) <= _TINY_HALF_POINTS if size.isdecimal() else None,
        is_white=said["color"].get(W + "val") == _WHITE if "color" in said else None,
        is_set_off=is_shaded(properties, "shd") or not _SETTING_OFF.isdisjoint(said) or None,
    )


def is_shaded(element: XmlElement, path: str) -> bool:
    """Whether a property gives a ground that is not white."""
    shading = _find(element, path)
    if shading is None:
        return False
    is_pattern = shading.get(W + "val", "clear") not in {"clear", "nil"}
    return is_pattern or shading.get(W + "fill", _AUTOMATIC) not in {_AUTOMATIC, _WHITE}


def is_on(element: XmlElement, path: str) -> bool | None:
    """Whether a property is switched on; None where it is not mentioned."""
    found = _find(element, path)
    return None if found is None else _is_true(found)


def style_id(element: XmlElement, path: str) -> str:
    """The id of the style that an element uses; empty when it uses none."""
    return _value(element, path) or ""


def _is_true(switch: XmlElement) -> bool:
    return switch.get(W + "val", "true").lower() not in _FALSE


def _named_level(name: str) -> int | None:
    """The level that the name of a style tells: some programs write no other."""
    if name == "title":
        return 1
    named = _HEADING_NAME.fullmatch(name)
    return None if named is None else int(named[1])


def _over(style: Style, base: Style) -> Style:
    return Style(
        heading=base.heading if style.heading is None else style.heading,
        list_id=base.list_id if style.list_id is None else style.list_id,
        list_level=base.list_level if style.list_level is None else style.list_level,
        looks=style.looks.over(base.looks),
        is_contents=style.is_contents or base.is_contents,
    )


def _find(element: XmlElement, path: str) -> XmlElement | None:
    return element.find("/".join(W + step for step in path.split("/")))


def _value(element: XmlElement, path: str) -> str | None:
    found = _find(element, path)
    return None if found is None else found.get(W + "val")
