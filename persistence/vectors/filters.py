"""Conditions on a point's payload, and the rendering of an access scope into them.

The engines translate these; nothing else decides which points a caller may see.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from uuid import UUID

from persistence.access import AccessScope


@dataclass(frozen=True, kw_only=True)
class Match:
    """The payload field holds one of the values."""

    field: str
    values: tuple[int, ...] | tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which points are meant."""

    must: tuple[Match, ...] = ()
    """All of these hold."""
    any_of: tuple[Match, ...] = ()
    """One of these holds, if there are any."""
    never: tuple[Match, ...] = ()
    """None of these holds."""
    ids: tuple[UUID, ...] = ()
    """The point is one of these, if there are any."""

    def and_also(self, match: Match) -> "Filter":
        """The points of this filter for which the condition holds too."""
        return replace(self, must=(*self.must, match))


def is_chunk() -> Match:
    """Points that carry text, as against the index's own bookkeeping."""
    return Match(field="kind", values=("chunk",))


def of_document(document_id: int) -> Match:
    """Points that belong to the document, bookkeeping included."""
    return Match(field="document_id", values=(document_id,))


def shared_with(group_id: int, *, by: int | None = None) -> Filter:
    """The chunks that a group may find, or those of them that belong to one owner."""
    must = [is_chunk(), Match(field="group_id", values=(group_id,))]
    if by is not None:
        must.append(Match(field="owner_id", values=(by,)))
    return Filter(must=tuple(must))


def visible_chunks(
    scope: AccessScope,
    *,
    document_ids: Collection[int] | None = None,
    hidden_generations: Collection[str] = (),
) -> Filter:
    """The chunks that a scope may find."""
    # Bookkeeping has no owner: where one is asked for, its kind need not be.
    must = [is_chunk()] if scope.sees_all else []
    if document_ids is not None:
        must.append(Match(field="document_id", values=tuple(document_ids)))
    never: tuple[Match, ...] = ()
    if hidden_generations:
        never = (Match(field="generation", values=tuple(hidden_generations)),)
    return Filter(must=tuple(must), any_of=_owned_or_shared(scope), never=never)


def _owned_or_shared(scope: AccessScope) -> tuple[Match, ...]:
    if scope.sees_all:
        return ()
    owned = Match(field="owner_id", values=(scope.user_id,))
    if not scope.group_ids:
        return (owned,)
    return (owned, Match(field="group_id", values=tuple(scope.group_ids)))
