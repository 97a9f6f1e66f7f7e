"""The events of runs that ended long ago go, however many they are."""

import asyncio
from datetime import UTC, datetime, timedelta

from persistence.run_records import RunClaim
from server.runs.event_retention import BATCH_RUNS, expire_events, keep_expiring
from tests.fixtures.rows import SYSTEM, create_session, start_run


async def test_all_runs_that_ended_before_are_found_in_batches(database, scope):
    count = BATCH_RUNS + 1
    session = await create_session(database, scope)
    for _ in range(count):
        run = await start_run(database, scope, session, lease_owner="me")
        async with database.unit_of_work(SYSTEM) as uow:
            await uow.runs.finish(RunClaim(run_id=run.id, attempt=1, owner="me"), "success")
            await uow.commit()
    now = datetime.now(UTC)
    assert await expire_events(database, ended_before=now - timedelta(hours=1)) == 0
    assert await expire_events(database, ended_before=now + timedelta(hours=1)) == count
    assert await expire_events(database, ended_before=now + timedelta(hours=1)) == 0


async def test_it_is_done_while_the_server_runs(database, scope):
    session = await create_session(database, scope)
    run = await start_run(database, scope, session, lease_owner="me")
    async with database.unit_of_work(SYSTEM) as uow:
        await uow.runs.finish(RunClaim(run_id=run.id, attempt=1, owner="me"), "success")
        await uow.commit()
    async with keep_expiring(database, hours=-1):
        while True:
            async with database.unit_of_work(SYSTEM) as uow:
                if (await uow.run_events.look(run.id, after=0, limit=1)).expired:
                    break


async def test_a_fault_that_nobody_expected_does_not_end_it():
    class Faulty:
        def __init__(self) -> None:
            self.asked = asyncio.Event()

        def unit_of_work(self, _: object) -> None:
            self.asked.set()
            raise KeyError("a fault")

    database = Faulty()
    async with keep_expiring(database, hours=1):
        await database.asked.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        assert "event-retention" in {task.get_name() for task in asyncio.all_tasks()}
