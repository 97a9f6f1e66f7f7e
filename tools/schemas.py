"""The arguments of a foreign tool, as a JSON schema that every model API can take.

Model APIs want an object with plain properties, and LangChain fails over references that it cannot
follow; one odd tool must not spoil the others.
"""

from collections.abc import Mapping
from typing import Any

MAX_NODES = 2_000
MAX_DEPTH = 32

_DEFINITIONS = frozenset({"$defs", "definitions"})


class _Unusable(Exception):
    """A schema has references that lead nowhere, or is larger than a model should read."""


def simplify_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema with its references filled in; of a hopeless one, the names alone."""
    try:
        simple = _Inliner(schema).inline(schema)
    except _Unusable:
        known = schema.get("properties")
        simple = {"properties": {name: {} for name in known} if isinstance(known, dict) else {}}
    properties, required = simple.get("properties"), simple.pop("required", None)
    simple["type"] = "object"
    simple["properties"] = {
        name: value if isinstance(value, dict) else {}
        for name, value in (properties if isinstance(properties, dict) else {}).items()
    }
    if isinstance(required, list):
        simple["required"] = [name for name in required if name in simple["properties"]]
    return simple


class _Inliner:
    """Puts what a reference means in its place, within bounds."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._nodes = 0

    def inline(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        plain = {key: value for key, value in schema.items() if key not in _DEFINITIONS}
        return dict(self._visit(plain, ()))

    def _visit(self, node: Any, followed: tuple[str, ...], depth: int = 1) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise _Unusable
        if isinstance(node, list):
            return [self._visit(item, followed, depth + 1) for item in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if reference is None:
            return {key: self._visit(value, followed, depth + 1) for key, value in node.items()}
        beside = {key: value for key, value in node.items() if key != "$ref"}
        if reference in followed:
            # A type that contains itself is described once.
            return beside
        target = self._visit(self._find(reference), (*followed, reference), depth + 1)
        return {**target, **beside} if isinstance(target, dict) else beside

    def _find(self, reference: object) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise _Unusable
        node: Any = self._root
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, Mapping) or name not in node:
                raise _Unusable
            node = node[name]
        return node
