"""What all documents of Microsoft Office share: parts, and relationships between them."""

import posixpath
from dataclasses import dataclass
from urllib.parse import unquote

from loaders.formats.archive import Archive
from loaders.formats.safe_xml import XmlElement, local_name, parse_part

_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A way from one part to another."""

    kind: str
    """The last word of its type: `slide`, `header`, `styles`."""
    part: str


class Package:
    """An office document as parts that refer to each other; nothing outside is ever followed."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        """Where the parts are."""

    @property
    def main_part(self) -> str:
        """The part that everything begins with; empty when there is none."""
        return self.first("", "officeDocument") or ""

    @property
    def title(self) -> str | None:
        """What the document's properties say."""
        part = self.first("", "core-properties")
        if part is None:
            return None
        for element in parse_part(self.archive, part):
            if local_name(element) == "title":
                return " ".join((element.text or "").split()) or None
        return None

    def relations(self, part: str) -> dict[str, Relation]:
        """The parts that a part refers to, by the names that it has for them."""
        folder, name = posixpath.split(part)
        source = posixpath.join(folder, "_rels", f"{name}.rels")
        if source not in self.archive:
            return {}
        found = {}
        for element in parse_part(self.archive, source):
            target = _resolve(folder, element)
            if target in self.archive:
                kind = element.get("Type", "").rpartition("/")[2]
                found[element.get("Id", "")] = Relation(kind=kind, part=target)
        return found

    def first(self, part: str, kind: str) -> str | None:
        """The first part of a kind that a part refers to."""
        related = self.relations(part).values()
        return next((each.part for each in related if each.kind == kind), None)


def related_name(element: XmlElement, name: str = "id") -> str:
    """The name that an element has for another part; empty when it has none."""
    return element.get(_RELATION + name) or ""


def _resolve(folder: str, element: XmlElement) -> str:
    if element.get("TargetMode") == "External":
        return ""
    target = unquote(element.get("Target", "")).partition("#")[0]
    return posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
