"""Pages of lists, as routes answer with them."""

from collections.abc import Iterable
from typing import Any, TypedDict, TypeVar

from pydantic import BaseModel

from persistence.records import Page

View = TypeVar("View", bound=BaseModel)


class Place(TypedDict):
    """Where in a list a page is."""

    total: int
    limit: int
    offset: int


def place_of(page: Page[Any]) -> Place:
    """Say where a page is, as every answer with one does."""
    return {"total": page.total, "limit": page.limit, "offset": page.offset}


def show_each(kind: type[View], things: Iterable[object]) -> list[View]:
    """Show things by those of their fields that the kind has."""
    return [kind.model_validate(thing, from_attributes=True) for thing in things]
