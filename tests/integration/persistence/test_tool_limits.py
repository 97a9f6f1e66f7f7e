"""Rules on what tool calls may take, on PostgreSQL: what is kept of them."""

from typing import Any

from persistence.access import AccessScope
from persistence.database import Database
from persistence.rule_records import NewToolLimit


def limit(**values: Any) -> NewToolLimit:
    return NewToolLimit(**{"group_id": None, "tool": "mail.*", "max_calls_per_run": 1, **values})


async def test_a_limit_is_read_back_as_it_was_made_and_as_it_was_changed(
    database: Database, scope: AccessScope, crew_id: int
):
    async with database.unit_of_work(scope) as uow:
        limit_id = (await uow.tool_limits.create(limit(group_id=crew_id, max_seconds=0.5))).id
        await uow.commit()
    wanted = limit(group_id=crew_id, tool="x", max_result_chars=200, max_calls_per_run=None)
    async with database.unit_of_work(scope) as uow:
        made = await uow.tool_limits.get(limit_id)
        changed = await uow.tool_limits.change(limit_id, wanted)
        await uow.commit()
    assert (made.tool, made.max_seconds, made.max_calls_per_run) == ("mail.*", 0.5, 1)
    assert {name: getattr(changed, name) for name in vars(wanted)} == vars(wanted)
