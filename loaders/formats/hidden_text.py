"""Taking out of HTML what nobody sees on the page: it can carry orders to the model."""

import re

from lxml.html import HtmlElement  # type: ignore[import-untyped]

_UNSEEN_TAGS = ("script", "style", "noscript", "template", "svg", "iframe", "object", "noframes")
_HIDING = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(hidden|collapse)"
    r"|opacity\s*:\s*0*\.?0+\s*(;|!|$)|font-size\s*:\s*0*\.?0+\s*(px|pt|em|rem|%)?\s*(;|!|$)",
    re.I,
)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_SCREEN_DEPENDENT = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", re.I)
_PLAIN_SELECTOR = re.compile(r"[\w-]*([.#])([\w-]+)\Z")


def remove_hidden(root: HtmlElement) -> None:
    """Take out scripts, styles, and elements that are hidden by attribute, style or class."""
    classes, ids = _hidden_names(root)
    for element in list(root.iter()):
        if element is root or not isinstance(element.tag, str):
            continue
        if (
            element.tag in _UNSEEN_TAGS
            or "hidden" in element.attrib
            or _HIDING.search(element.get("style", ""))
            or not classes.isdisjoint(element.get("class", "").split())
            or element.get("id") in ids
        ):
            _remove(element)


def _hidden_names(root: HtmlElement) -> tuple[set[str], set[str]]:
    """Classes and ids that the page's own style sheets hide on every screen."""
    names: dict[str, set[str]] = {".": set(), "#": set()}
    for style in root.iter("style"):
        for selectors, body in _RULE.findall(_SCREEN_DEPENDENT.sub("", style.text or "")):
            if _HIDING.search(body):
                for selector in selectors.split(","):
                    plain = _PLAIN_SELECTOR.match(selector.strip())
                    if plain:
                        names[plain[1]].add(plain[2])
    return names["."], names["#"]


def _remove(element: HtmlElement) -> None:
    if element.getparent() is not None:
        element.drop_tree()
