"""What keeps a process that has lost a run from saving checkpoints of it.

A process that stood still for a while does not know that others have gone on with its run. Its
checkpoint would be the newest of the thread, and what happened meanwhile would be forgotten.
"""

from typing import Any

from langchain_core.runnables import RunnableConfig

from persistence.run_records import RunClaim

_KEY = "__youworker_claim"
"""Two underscores keep it out of the metadata of checkpoints and of traces."""


def fenced_by(claim: RunClaim) -> dict[str, Any]:
    """Return what to put into `configurable`: checkpoints are saved only while the claim holds."""
    return {_KEY: claim}


def fence_of(config: RunnableConfig) -> RunClaim | None:
    """Return the claim that what is saved under `config` hangs on, if it hangs on one."""
    claim: RunClaim | None = config["configurable"].get(_KEY)
    return claim
