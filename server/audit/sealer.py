"""Keeps the audit trail sealed while the product runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from persistence.audit_chain import AuditChain
from persistence.errors import AuditTrailError, PersistenceError
from server.observability import describe

GATHER_SECONDS = 0.5
"""How long entries gather before one seal covers them all."""
SWEEP_SECONDS = 30.0
"""How often to look without being told: a process may have died before it sealed."""
RETRY_SECONDS = 5.0
"""How long to wait when the database failed."""
LAST_SECONDS = 5.0
"""How long sealing may take when the product stops; the next start goes on with the rest."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def keep_sealed(chain: AuditChain, written: asyncio.Event) -> AsyncIterator[None]:
    """Seals soon after each commit that wrote entries, and once more at the end.

    Args:
        chain: What to seal.
        written: Set by whoever wrote.
    """
    sealing = asyncio.create_task(_keep(chain, written), name="audit-sealer")
    try:
        yield
    finally:
        sealing.cancel()
        await asyncio.gather(sealing, return_exceptions=True)
        await _seal_last(chain)


async def _keep(chain: AuditChain, written: asyncio.Event) -> None:
    written.set()  # what an earlier process left
    is_broken = False
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(SWEEP_SECONDS):
                await written.wait()
        await asyncio.sleep(GATHER_SECONDS)
        written.clear()
        try:
            while (batch := await chain.seal_batch()).more and batch.entries:
                pass
        except AuditTrailError as exc:
            if not is_broken:  # said once; `youworker audit forget-head` takes the chain as it is
                log.error("audit_sealing_refused", reason=str(exc))
            is_broken = True
        except PersistenceError as exc:
            log.warning("audit_sealing_delayed", **describe(exc))
            await asyncio.sleep(RETRY_SECONDS)
            written.set()
        else:
            is_broken = False
            if batch.more:  # another process has the turn, and may have looked too early for ours
                written.set()


async def _seal_last(chain: AuditChain) -> None:
    try:
        async with asyncio.timeout(LAST_SECONDS):
            await chain.catch_up()
            head = await chain.head()
    except (TimeoutError, PersistenceError) as exc:
        log.warning("audit_sealing_left", **describe(exc))
        return
    if head is not None:  # kept elsewhere, this shows later whether the end was cut off
        log.info("audit_chain_head", position=head.position, digest=head.digest.hex())
