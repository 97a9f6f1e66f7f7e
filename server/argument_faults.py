"""Whether arguments that a person has edited are such as the tool takes."""

import asyncio
from collections.abc import Mapping
from typing import Any

from tools.errors import SchemaUnusable
from tools.schema_faults import GLANCE_SECONDS, SchemaChecker
from tools.weight import is_light


async def find_faults(args: Mapping[str, Any], schema: Mapping[str, Any]) -> list[dict[str, str]]:
    """Does as `faults_in`, and holds up nobody: what may take a while is looked at in a thread."""
    if is_light(args, schema):
        try:
            return _look(args, schema, seconds=GLANCE_SECONDS)
        except SchemaUnusable:
            pass  # with more time, it may be of use
    return await asyncio.to_thread(faults_in, args, schema)


def faults_in(args: Mapping[str, Any], schema: Mapping[str, Any]) -> list[dict[str, str]]:
    """What is wrong with arguments, as `{"argument", "problem"}`; nothing of their values.

    Regular expressions in the schema are left to the tool.
    """
    try:
        return _look(args, schema)
    except SchemaUnusable:
        return [{"argument": "", "problem": "the tool's schema cannot be read"}]


def _look(
    args: Mapping[str, Any], schema: Mapping[str, Any], *, seconds: float | None = None
) -> list[dict[str, str]]:
    faults = SchemaChecker(schema).find_faults(args, seconds=seconds)
    return [{"argument": fault.place, "problem": fault.problem} for fault in faults]
