"""The events of runs that ended long ago go, however many they are."""

from datetime import UTC, datetime, timedelta

from persistence.records import RunClaim
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
