"""What a tool takes for arguments that are left out: rules see it as if it had been written."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from graph.approvals import ProposedCall


def with_defaults(call: ProposedCall) -> ProposedCall:
    """The call with what its tool's schema names for arguments that are not there."""
    if not call.schema:
        return call
    return replace(call, args=_fill(call.args, call.schema))


def _fill(value: Any, schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return value
    if isinstance(value, list):
        return [_fill(each, schema.get("items")) for each in value]
    properties = schema.get("properties")
    if not isinstance(value, Mapping) or not isinstance(properties, Mapping):
        return value
    filled = dict(value)
    for name, about in properties.items():
        if name in filled:
            filled[name] = _fill(filled[name], about)
        elif isinstance(about, Mapping) and "default" in about:
            filled[name] = about["default"]
    return filled
