"""Whether the arguments of a call are those that a sample expects."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from evals.scorers.text import plain

_PUNCTUATION = re.compile(r"[ ,./\-_*^]")


class TextComparison(BaseModel):
    """How texts among arguments are compared; letter case never counts."""

    model_config = ConfigDict(extra="forbid")

    ignore_punctuation: bool = False
    """Whether spaces and `,./-_*^` do not count either, as in the Berkeley set: so that
    `April 1, 2024` is `april 1 2024`."""

    def plain(self, text: str) -> str:
        """A text in the form that is compared."""
        form = plain(text, ignore_case=True)
        return _PUNCTUATION.sub("", form).replace("'", '"') if self.ignore_punctuation else form


def arguments_fit(
    given: Mapping[str, Any], asked: Mapping[str, Any], *, how: str, texts: TextComparison
) -> bool:
    """Whether all arguments are right, and as many of them are there as `how` says.

    Args:
        given: What a call has.
        asked: What is expected: values, or patterns as `argument_fits` reads them.
        how: `exact`; `superset`: there may be others; `subset`: some may be missing.
        texts: How texts are compared.
    """
    if how != "superset" and not given.keys() <= asked.keys():
        return False
    needed = {name for name, each in asked.items() if not _is_optional(each)}
    if how != "subset" and not needed <= given.keys():
        return False
    return all(
        argument_fits(given[name], asked[name], texts=texts) for name in given.keys() & asked.keys()
    )


def argument_fits(given: Any, asked: Any, *, texts: TextComparison) -> bool:
    """Whether one is right: equal, or as `$any_of`, `$optional`, `$includes` or `$regex` say.

    Lists and objects are looked into, and may hold such patterns themselves. A whole number is
    equal to the same one with a point: JSON does not tell them apart.
    """
    match asked:
        case {"$any_of": list(choices), **rest} if not rest:
            return any(argument_fits(given, each, texts=texts) for each in choices)
        case {"$optional": inner, **rest} if not rest:
            return argument_fits(given, inner, texts=texts)
        case {"$includes": str(part), **rest} if not rest:
            return plain(part, ignore_case=True) in plain(str(given), ignore_case=True)
        case {"$regex": str(pattern), **rest} if not rest:
            return re.search(pattern, str(given), re.IGNORECASE) is not None
        case dict():
            return isinstance(given, Mapping) and arguments_fit(
                given, asked, how="exact", texts=texts
            )
        case list():
            return _items_fit(given, asked, texts=texts)
        case str():
            return isinstance(given, str) and texts.plain(given) == texts.plain(asked)
        case bool() | None:
            return given is asked
    return not isinstance(given, bool) and bool(given == asked)


def _items_fit(given: Any, asked: list[Any], *, texts: TextComparison) -> bool:
    """The order counts: what lists mean is not known."""
    return (
        isinstance(given, list)
        and len(given) == len(asked)
        and all(
            argument_fits(each, wanted, texts=texts)
            for each, wanted in zip(given, asked, strict=True)
        )
    )


def _is_optional(asked: Any) -> bool:
    return isinstance(asked, dict) and asked.keys() == {"$optional"}
