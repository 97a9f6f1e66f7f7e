"""Whether arguments that a person has edited are such as the tool takes."""

from collections.abc import Mapping
from typing import Any

from tools.errors import SchemaUnusable
from tools.schema_faults import SchemaChecker


def faults_in(args: Mapping[str, Any], schema: Mapping[str, Any]) -> list[dict[str, str]]:
    """What is wrong with arguments, as `{"argument", "problem"}`; nothing of their values.

    Regular expressions in the schema are left to the tool.
    """
    try:
        faults = SchemaChecker(schema).find_faults(args)
    except SchemaUnusable:
        return [{"argument": "", "problem": "the tool's schema cannot be read"}]
    return [{"argument": fault.place, "problem": fault.problem} for fault in faults]
