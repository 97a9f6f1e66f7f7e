"""Formulas of office documents in one line, as people type them."""

from collections.abc import Callable

from loaders.formats.safe_xml import XmlElement, local_name

ROOTS = frozenset({"oMath", "oMathPara"})
"""What a formula is in."""

_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_UNSEEN = frozenset({"del", "moveFrom"})


def write_formula(element: XmlElement) -> str:
    """What an element of a formula says."""
    return "".join(map(_write, element))


def _write(element: XmlElement) -> str:
    name = local_name(element)
    if name == "t":
        return element.text or ""
    if name.endswith("Pr") or name in _UNSEEN:
        return ""
    return _WRITERS.get(name, write_formula)(element)


def _fraction(element: XmlElement) -> str:
    return f"{_grouped(element, 'num')}/{_grouped(element, 'den')}"


def _scripts(element: XmlElement) -> str:
    return _grouped(element, "e") + _limits(element)


def _limits(element: XmlElement) -> str:
    below, above = _grouped(element, "sub"), _grouped(element, "sup")
    return (f"_{below}" if below else "") + (f"^{above}" if above else "")


def _limit(element: XmlElement) -> str:
    sign = "^" if local_name(element) == "limUpp" else "_"
    return f"{_part(element, 'e')}{sign}{_grouped(element, 'lim')}"


def _root(element: XmlElement) -> str:
    return f"{_part(element, 'deg')}√{_grouped(element, 'e')}"


def _function(element: XmlElement) -> str:
    return f"{_part(element, 'fName')} {_part(element, 'e')}"


def _sum(element: XmlElement) -> str:
    return f"{_sign(element, 'chr', '∫')}{_limits(element)} {_part(element, 'e')}"


def _delimited(element: XmlElement) -> str:
    between = _sign(element, "sepChr", "|").join(map(write_formula, element.iterchildren(_M + "e")))
    return f"{_sign(element, 'begChr', '(')}{between}{_sign(element, 'endChr', ')')}"


def _matrix(element: XmlElement) -> str:
    rows = (
        ", ".join(map(write_formula, row.iterchildren(_M + "e")))
        for row in element.iterchildren(_M + "mr")
    )
    return "; ".join(rows)


def _lines(element: XmlElement) -> str:
    return "\n".join(map(write_formula, element.iterchildren(_M + "e")))


def _part(element: XmlElement, name: str) -> str:
    found = element.find(_M + name)
    return "" if found is None else write_formula(found)


def _grouped(element: XmlElement, name: str) -> str:
    """A part that stays together on the line."""
    text = _part(element, name)
    return text if not text or text.isalnum() else f"({text})"


def _sign(element: XmlElement, name: str, usual: str) -> str:
    found = element.find(f"{_M}{local_name(element)}Pr/{_M}{name}")
    return usual if found is None else str(found.get(_M + "val", ""))


_WRITERS: dict[str, Callable[[XmlElement], str]] = {
    "f": _fraction,
    "sSup": _scripts,
    "sSub": _scripts,
    "sSubSup": _scripts,
    "limLow": _limit,
    "limUpp": _limit,
    "rad": _root,
    "func": _function,
    "nary": _sum,
    "d": _delimited,
    "m": _matrix,
    "eqArr": _lines,
}
