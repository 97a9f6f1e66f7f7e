"""Taking out of HTML what nobody sees on the page: it can carry orders to the model.

What other style sheets and scripts do to the page is not known, so in doubt text stays.
"""

from collections import defaultdict
from collections.abc import Iterator

from lxml.html import HtmlElement  # type: ignore[import-untyped]

from loaders.errors import LoaderLimit
from loaders.formats.style_effects import INHERITED, Aspect, find_effects
from loaders.formats.style_sheets import Compound, Rule, read_declarations, read_rules

_UNSEEN_TAGS = frozenset(
    {"script", "style", "noscript", "template", "svg", "iframe", "object", "noframes"}
)
_MOST_COMPARISONS = 1_000_000
_INLINE = (1, 0, 0, 0, 0)

Effects = dict[Aspect, tuple[bool, bool]]
_Rank = tuple[bool, tuple[int, ...]]


def remove_hidden(root: HtmlElement) -> None:
    """Take out scripts, styles, and text that is hidden by attribute, style or style sheet.

    Raises:
        LoaderLimit: the page has too many rules for its elements.
    """
    sheets = _StyleSheets(root)
    unseen: dict[HtmlElement, frozenset[Aspect]] = {}
    gone: list[HtmlElement] = []
    nothing: frozenset[Aspect] = frozenset()
    for element in root.iter():
        if element is root or not isinstance(element.tag, str):
            continue
        inherited = unseen.get(element.getparent(), nothing)
        effects = sheets.effects(element)
        if element.tag in _UNSEEN_TAGS or "hidden" in element.attrib or _is_gone(effects):
            gone.append(element)
        hidden = _inherit(inherited, effects)
        if hidden:
            unseen[element] = hidden
    for element in unseen:
        element.text = None
        for child in element:
            child.tail = None
    for element in gone:
        if element.getparent() is not None:
            element.drop_tree()


def _is_gone(effects: dict[Aspect, bool]) -> bool:
    return any(hides for aspect, hides in effects.items() if aspect not in INHERITED)


def _inherit(inherited: frozenset[Aspect], effects: dict[Aspect, bool]) -> frozenset[Aspect]:
    if not effects:
        return inherited
    own = {aspect for aspect in INHERITED if effects.get(aspect)}
    return frozenset(own | {each for each in inherited if each not in effects})


class _StyleSheets:
    """The page's own style sheets, and the `style` of its elements."""

    def __init__(self, root: HtmlElement) -> None:
        sheets = [
            _with_condition(style)
            for style in root.iter("style")
            if next(style.iterancestors("noscript", "template"), None) is None
        ]
        self._on_white = _is_white(root, sheets)
        self._rules: dict[str, list[tuple[Rule, Effects]]] = defaultdict(list)
        self._budget = _MOST_COMPARISONS
        rules = [(rule, self._find(rule)) for css in sheets for rule in read_rules(css)]
        for rule, effects in rules:
            if effects:
                self._rules[rule.key].append((rule, effects))

    def effects(self, element: HtmlElement) -> dict[Aspect, bool]:
        """What hides the element, and what only could: by aspect."""
        style = element.get("style")
        if not style and not self._rules:
            return {}
        best: dict[Aspect, tuple[_Rank, bool]] = {}
        for effects, rank in self._all_effects(element, style):
            for aspect, (hides, is_important) in effects.items():
                place = (is_important, rank)
                if aspect not in best or place >= best[aspect][0]:
                    best[aspect] = place, hides
        return {aspect: hides for aspect, (_, hides) in best.items()}

    def _all_effects(
        self, element: HtmlElement, style: str | None
    ) -> Iterator[tuple[Effects, tuple[int, ...]]]:
        if self._rules:
            keys = [element.tag, "*", *(f".{each}" for each in element.get("class", "").split())]
            if "id" in element.attrib:
                keys.append(f"#{element.get('id')}")
            for key in keys:
                for rule, effects in self._rules.get(key, ()):
                    if self._means(rule.selector, element):
                        yield effects, (0, *rule.rank)
        if style:
            yield find_effects(read_declarations(style), on_white=self._on_white), _INLINE

    def _find(self, rule: Rule) -> Effects:
        """What a rule does; one that holds on some screens only can show, but not hide."""
        effects = find_effects(rule.declarations, on_white=self._on_white)
        return {
            aspect: (hides, important)
            for aspect, (hides, important) in effects.items()
            if rule.is_certain or not hides
        }

    def _means(self, selector: tuple[Compound, ...], element: HtmlElement) -> bool:
        """Whether the element and those around it are what is asked for, the nearest first."""
        self._spend()
        if not selector[-1].matches(element):
            return False
        is_child = selector[-1].is_child
        for part in reversed(selector[:-1]):
            element = element.getparent()
            while element is not None and not part.matches(element):
                self._spend()
                if is_child:
                    return False
                element = element.getparent()
            if element is None:
                return False
            is_child = part.is_child
        return True

    def _spend(self) -> None:
        self._budget -= 1
        if self._budget < 0:
            raise LoaderLimit("the page has too many style rules")


def _with_condition(style: HtmlElement) -> str:
    media = style.get("media", "")
    return f"@media {media}{{{style.text or ''}}}" if media else style.text or ""


def _is_white(root: HtmlElement, sheets: list[str]) -> bool:
    """Whether nothing on the page, nor a style sheet that is not here, can colour its ground."""
    if any("background" in css or "@import" in css or "\\" in css for css in sheets):
        return False
    return not any(
        "bgcolor" in each.attrib
        or "background" in each.attrib
        or "background" in each.get("style", "")
        or "\\" in each.get("style", "")
        or each.tag == "link"
        for each in root.iter()
        if isinstance(each.tag, str)
    )
