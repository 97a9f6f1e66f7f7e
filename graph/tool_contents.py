"""The pictures, sounds and files that tools answer with: kept apart, referred to by their ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from tools.contents import ContentKeeper


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownImage:
    """An image as a model is shown it."""

    mime: str
    data_b64: str = field(repr=False)


@runtime_checkable
class RunContents(Protocol):
    """Keeps what tools answer one run with beside text; no checkpoint ever holds it."""

    def keeper_of(self, call_id: str) -> ContentKeeper:
        """Who keeps what one call is answered with."""
        ...

    async def load_images(self, ids: Sequence[str]) -> Mapping[str, ShownImage]:
        """The images that the run's model can be shown, by their ids; none if it cannot see.

        What is not there any more is left out; this does not raise for it.
        """
        ...


def contents_in(artifact: object) -> list[Mapping[str, Any]]:
    """What a tool's artifact refers to; what is malformed is passed over."""
    found = artifact.get("contents") if isinstance(artifact, dict) else None
    if not isinstance(found, list | tuple):
        return []
    return [each for each in found if isinstance(each, dict) and isinstance(each.get("id"), str)]


def images_in(artifact: object) -> list[str]:
    """The ids of the images that a tool's artifact refers to."""
    return [each["id"] for each in contents_in(artifact) if each.get("kind") == "image"]
