"""What sites ask of programs in their `robots.txt` (RFC 9309)."""

import re
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from yarl import URL

from tools.errors import UrlFailed, UrlNotAllowed, UrlTooLarge
from tools.outbound.fetcher import Fetcher

AGENT = "youworker"
"""What a site calls us when it means us alone."""
FILE_MAX_BYTES = 512_000
RULES_MAX = 2_000
PATTERN_MAX_CHARS = 1_024
KEPT_SITES = 256
KEPT_BYTES = 8 * 1024 * 1024
"""Of all sites together: a site that writes as much as it may takes the room of many."""
KEPT_SECONDS = 3_600.0
KEPT_UNKNOWN_SECONDS = 60.0
"""After so long a site is asked anew that did not answer."""
_EVERYBODY = "*"
_RULE_BYTES = 64
"""What a rule takes beside its pattern."""
_LINE = re.compile(r"\s*([A-Za-z-]+)\s*:\s*(.*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Whether what begins like a pattern may be fetched."""

    pattern: str
    allows: bool

    def fits(self, path: str) -> bool:
        """Whether it is about a path; linear in its length, whatever the pattern."""
        pattern, is_anchored = self.pattern, self.pattern.endswith("$")
        first, *rest = (pattern[:-1] if is_anchored else pattern).split("*")
        if not path.startswith(first):
            return False
        place = len(first)
        if is_anchored:
            if not rest:
                return place == len(path)
            last = rest.pop()
            end = len(path) - len(last)
        else:
            last, end = "", len(path)
        for part in rest:
            found = path.find(part, place, end)
            if found < 0:
                return False
            place = found + len(part)
        return place <= end and path.endswith(last)


class SiteRules:
    """The rules of one site that are for us."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self.weight_bytes = sum(_RULE_BYTES + sys.getsizeof(rule.pattern) for rule in rules)

    def permit(self, path: str) -> bool:
        """Whether a path may be fetched: the longest pattern counts, of equals the kinder."""
        path = _decode(path)
        fitting = [rule for rule in self._rules if rule.fits(path)]
        if not fitting:
            return True
        return max(fitting, key=lambda rule: (len(rule.pattern), rule.allows)).allows


EVERYTHING = SiteRules(())
NOTHING = SiteRules((Rule(pattern="/", allows=False),))


def read_rules(text: str) -> SiteRules:
    """Read a file: of all groups those that name us, else those for everybody."""
    groups: dict[str, list[Rule]] = {}
    named: set[str] = set()  # of the names above the rules those that mean us; others are no matter
    has_rules = True
    for line in text.splitlines():
        read = _LINE.match(line.partition("#")[0])
        if read is None:
            continue
        key, value = read[1].lower(), read[2].strip()
        if key == "user-agent":
            if has_rules:
                named, has_rules = set(), False
            if (name := value.lower()) in {AGENT, _EVERYBODY}:
                named.add(name)
                groups.setdefault(name, [])
        elif key in {"allow", "disallow"}:
            has_rules = True
            if value and len(value) <= PATTERN_MAX_CHARS:
                rule = Rule(pattern=_decode(value), allows=key == "allow")
                for name in named:
                    if len(groups[name]) < RULES_MAX:
                        groups[name].append(rule)
    return SiteRules(groups.get(AGENT, groups.get(_EVERYBODY, ())))


class Robots:
    """Asks each site once in a while, and remembers a number of them."""

    def __init__(self, fetcher: Fetcher, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._sites: OrderedDict[str, tuple[SiteRules, float]] = OrderedDict()
        self._kept_bytes = 0

    async def permit(self, url: str) -> bool:
        """Whether the site lets programs fetch a URL.

        Raises:
            FetchError: The site cannot be asked, and so nothing is to be had of it either.
        """
        try:
            asked = URL(url)
            site = str(asked.origin())
        except ValueError as exc:
            raise UrlNotAllowed("This is no URL.") from exc
        rules, until = self._sites.get(site, (EVERYTHING, 0.0))
        if until <= self._clock():
            rules, seconds = await self._ask(site)
            self._keep(site, rules, self._clock() + seconds)
        return rules.permit(asked.raw_path_qs)

    def _keep(self, site: str, rules: SiteRules, until: float) -> None:
        """Remember a site, and forget those that were asked the longest ago if it is too much."""
        before, _ = self._sites.pop(site, (EVERYTHING, 0.0))
        self._sites[site] = rules, until
        self._kept_bytes += rules.weight_bytes - before.weight_bytes
        while len(self._sites) > KEPT_SITES or self._kept_bytes > KEPT_BYTES:
            _, (forgotten, _) = self._sites.popitem(last=False)
            self._kept_bytes -= forgotten.weight_bytes

    async def _ask(self, site: str) -> tuple[SiteRules, float]:
        """Without a file all is permitted, with a broken one nothing (RFC 9309, 2.3.1)."""
        try:
            found = await self._fetcher.fetch(f"{site}/robots.txt", max_bytes=FILE_MAX_BYTES)
        except UrlFailed as failure:
            if failure.status is not None and 400 <= failure.status < 500:
                return EVERYTHING, KEPT_SECONDS
            return NOTHING, KEPT_UNKNOWN_SECONDS
        except UrlTooLarge:
            return NOTHING, KEPT_SECONDS
        return read_rules(found.data.decode("utf-8", "replace")), KEPT_SECONDS


def _decode(path: str) -> str:
    """One form for what may be written in several: `%7E` and `~`."""
    return unquote(path, errors="replace")
