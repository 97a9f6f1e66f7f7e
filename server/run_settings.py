"""How runs are kept alive, and how long they may take."""

from typing import Annotated

from pydantic import BaseModel, Field


class RunSettings(BaseModel):
    """The lives of runs (`RUNS__*`)."""

    lease_seconds: Annotated[float, Field(ge=1, le=600)] = 15.0
    """After so long without a word from its process a run is taken by another."""
    timeout_seconds: Annotated[float, Field(gt=0, le=7 * 86_400)] = 1800.0
    """How long a run may be at work, over all attempts; waiting for its turn or people is apart."""
    max_crashes: Annotated[int, Field(ge=1, le=100)] = 3
    """So often a run's process may die with nothing new of the run; then it is given up.

    Ten times as often if there was something new each time.
    """
    max_live: Annotated[int, Field(ge=1, le=100_000)] = 200
    """With so many runs at work a server takes none that wait, or that others have left."""
    approval_seconds: Annotated[int, Field(ge=1, le=365 * 86_400)] = 86_400
    """How long an approval is waited for; then it counts as refused."""
    max_queued: Annotated[int, Field(ge=0, le=1000)] = 10
    """Messages of one session that may wait for their turn."""
    event_retention_hours: Annotated[float, Field(gt=0)] = 72.0
    """How long the events of a run that has ended can be read again."""
