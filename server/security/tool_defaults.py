"""What holds where nothing was said: by a rule about a call, or by a call about its arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from graph.approvals import ProposedCall, Verdict
from persistence.rule_records import PolicyVerdict

UNMARKED = "The tool is not marked as one that only reads."
OPEN_WORLD = "The tool may reach beyond this installation."

_ALLOWED = Verdict(decision="allow")
_STRICTEST_FIRST: Sequence[PolicyVerdict] = ("deny", "ask", "allow")


class ToolHints(Protocol):
    """What a tool does, as far as its server is believed."""

    @property
    def read_only(self) -> bool:
        """Whether it changes nothing."""
        ...

    @property
    def open_world(self) -> bool:
        """Whether it may reach what lies outside of the server, as the web does."""
        ...


class UnruledCalls:
    """Judges calls that no rule fits, by two settings of which the stricter one counts."""

    def __init__(self, *, unmarked: PolicyVerdict, open_world: PolicyVerdict = "allow") -> None:
        """Prepare to judge.

        Args:
            unmarked: The verdict on tools that are not known to only read.
            open_world: The verdict on tools that are not known to stay inside.
        """
        self._unmarked = Verdict(decision=unmarked, reason=UNMARKED)
        self._open_world = Verdict(decision=open_world, reason=OPEN_WORLD)

    def judge(self, hints: ToolHints) -> Verdict:
        """The verdict; the reason is the setting's that counts."""
        verdicts = [_ALLOWED]
        if not hints.read_only:
            verdicts.append(self._unmarked)
        if hints.open_world:
            verdicts.append(self._open_world)
        strictest = min(verdicts, key=lambda each: _STRICTEST_FIRST.index(each.decision))
        return _ALLOWED if strictest.decision == "allow" else strictest

    @property
    def denies_some(self) -> bool:
        """Whether there are tools that are denied."""
        return "deny" in (self._unmarked.decision, self._open_world.decision)


def with_defaults(call: ProposedCall) -> ProposedCall:
    """The call with what its tool's schema names for arguments that are not there.

    Rules see it as if it had been written.
    """
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
