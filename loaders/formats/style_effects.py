"""What CSS declarations do to the text they are about: hide it, or show it after all."""

import re
from enum import StrEnum

from loaders.formats.style_sheets import Declarations

_LENGTH = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)([a-z%]*)")
_FONT_SIZE = re.compile(r"(?:\A|\s)(0(?:\.0+)?|[\d.]+(?:px|pt|r?em|%))(?=[/\s])")
_ABSOLUTE_UNITS = frozenset({"px", "pt", ""})
_SMALLEST_SIZE = 2.0
_SMALLEST_SHARE = 0.1
_FAR = {"px": -999.0, "pt": -999.0, "em": -99.0, "rem": -99.0, "": -999.0}
_WHITE = frozenset({"white", "#fff", "#ffffff", "rgb(255,255,255)", "rgb(255 255 255)"})
_CLEAR = frozenset({"transparent", "rgba(0,0,0,0)", "#0000", "#00000000", "rgb(0 0 0/0)"})
_INHERITED = frozenset({"inherit", "unset", "currentcolor", "smaller", "larger", "revert"})
_PAINTED_OTHERWISE = ("background-clip", "-webkit-background-clip", "text-shadow",
                      "-webkit-text-fill-color")  # fmt: skip
_NO_WINDOW = re.compile(r"rect\((?:[01](?:px|%)?[ ,]*){4}\)")
_NO_SHAPE = re.compile(
    r"inset\((?:100|[5-9]\d)%\)|circle\(0(?:px|%)?(?: at [^)]*)?\)|rect\((?:0(?:px|%)?[ ,]*){4}\)"
)


class Aspect(StrEnum):
    """A way in which text can be hidden; in each the rule of the highest rank holds."""

    DISPLAY = "display"
    OPACITY = "opacity"
    PLACE = "place"
    CLIP = "clip"
    BOX = "box"
    VISIBILITY = "visibility"
    SIZE = "size"
    COLOUR = "colour"
    INDENT = "indent"


INHERITED = (Aspect.VISIBILITY, Aspect.SIZE, Aspect.COLOUR, Aspect.INDENT)
"""What an element inside can say otherwise."""


def find_effects(said: Declarations, *, on_white: bool) -> dict[Aspect, tuple[bool, bool]]:
    """Of each aspect that is spoken of: whether it hides the text, and whether that is important.

    Args:
        said: what an element or a rule declares.
        on_white: whether the page has no other background than its white one.
    """
    values = {name: value for name, (value, _) in said.items()}
    hides = {
        Aspect.DISPLAY: _keyword(values.get("display"), {"none"}),
        Aspect.VISIBILITY: _keyword(values.get("visibility"), {"hidden", "collapse"}),
        Aspect.OPACITY: _opacity(values.get("opacity")),
        Aspect.SIZE: _size(values),
        Aspect.COLOUR: _colour(values, on_white=on_white),
        Aspect.INDENT: _is_far(values.get("text-indent")),
        Aspect.PLACE: _place(values),
        Aspect.CLIP: _clip(values),
        Aspect.BOX: _box(values),
    }
    is_important = any(important for _, important in said.values())
    return {
        aspect: (hidden, is_important) for aspect, hidden in hides.items() if hidden is not None
    }


def _keyword(value: str | None, hiding: set[str]) -> bool | None:
    return None if value is None or value in _INHERITED else value in hiding


def _opacity(value: str | None) -> bool | None:
    length = _length(value)
    if length is None:
        return None if value is None else False
    return (length[0] / 100 if length[1] == "%" else length[0]) < _SMALLEST_SHARE


def _size(values: dict[str, str]) -> bool | None:
    value = values.get("font-size")
    if value is None and "font" in values:
        found = _FONT_SIZE.search(values["font"])
        value = found[1] if found else None
    if value is None or value in _INHERITED:
        return None
    length = _length(value)
    if length is None:
        return False
    number, unit = length
    if unit in _ABSOLUTE_UNITS:
        return number < _SMALLEST_SIZE
    is_tiny = (number / 100 if unit == "%" else number) < _SMALLEST_SHARE
    return is_tiny if is_tiny or unit not in {"em", "%"} else None


def _colour(values: dict[str, str], *, on_white: bool) -> bool | None:
    value = values.get("color")
    if value is None or value in _INHERITED:
        return None
    if any(name in values for name in _PAINTED_OTHERWISE):
        return False
    value = _tight(value)
    if value in _CLEAR:
        return True
    own = values.get("background-color", values.get("background"))
    return value in _WHITE and (on_white if own is None else _tight(own) in _WHITE)


def _place(values: dict[str, str]) -> bool | None:
    sides = [values[each] for each in ("left", "right", "top") if each in values]
    if not sides:
        return None
    is_free = values.get("position") in {"absolute", "fixed", "relative"}
    return is_free and any(_is_far(each) for each in sides)


def _clip(values: dict[str, str]) -> bool | None:
    shape, window = values.get("clip-path"), values.get("clip")
    if shape is not None and _NO_SHAPE.fullmatch(shape):
        return True
    if window is not None and values.get("position") in {"absolute", "fixed"}:
        return _NO_WINDOW.fullmatch(window) is not None
    return None if shape is None and window is None else False


def _box(values: dict[str, str]) -> bool | None:
    """What has no extent shows nothing, if nothing may stand out of it and no edge widens it."""
    extents = [_length(values[each]) for each in ("height", "width") if each in values]
    if not extents:
        return None
    is_closed = values.get("overflow") in {"hidden", "clip"}
    is_widened = any(name.startswith("padding") for name in values)
    return is_closed and not is_widened and any(each and each[0] == 0 for each in extents)


def _is_far(value: str | None) -> bool | None:
    length = _length(value)
    if length is None:
        return None if value is None else False
    return length[0] <= _FAR.get(length[1], float("-inf"))


def _length(value: str | None) -> tuple[float, str] | None:
    found = _LENGTH.fullmatch(value or "")
    return (float(found[1]), found[2]) if found else None


def _tight(value: str) -> str:
    return value.replace(", ", ",").replace(" ,", ",").replace(" / ", "/")
