"""On whose behalf a person is asked, and how often."""

import asyncio
from dataclasses import dataclass, field

from persistence.run_records import RunClaim
from server.security.principal import Origin, Principal
from tools.errors import RequestDeclined

QUESTIONS_MAX = 16
"""How often a run may ask its person."""
ASKED_ENOUGH = "This run has asked as often as a run may."


@dataclass(kw_only=True, eq=False)
class Asker:
    """The run on whose behalf a person is asked; one for each attempt at it."""

    claim: RunClaim
    principal: Principal
    origin: Origin
    turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    """Held while a question is opened, so that none is that others were not counted for."""
    has_asked_enough: bool = False
    """Whether the run may not ask any more."""

    def require_more(self) -> None:
        """See to it that the run may ask.

        Raises:
            RequestDeclined: It has asked often enough.
        """
        if self.has_asked_enough:
            raise RequestDeclined(ASKED_ENOUGH)
