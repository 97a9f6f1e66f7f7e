"""How many rules about tools there may be, and that root always has room for some."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from persistence.access import AccessScope
from persistence.database import Database
from persistence.errors import Conflict, TooManyPolicies, TooManyToolLimits
from persistence.repositories import rules as of_groups
from persistence.rule_records import ToolRule
from server import rule_service
from server.rule_service import RuleService
from server.security.principal import Origin, Principal
from server.tool_limits.service import ToolLimitService
from server.tool_policies.service import ToolPolicyService
from tests.fixtures.rows import create_user

ORIGIN = Origin(ip=None, user_agent=None, correlation_id="tests")
KINDS: list[Any] = [
    pytest.param(ToolLimitService, {"max_calls_per_run": 1}, TooManyToolLimits, id="limits"),
    pytest.param(ToolPolicyService, {"verdict": "deny"}, TooManyPolicies, id="policies"),
]

Service = RuleService[Any, Any]
Open = Callable[..., Service]


class NobodyKnows:
    """A replica that holds no rules."""

    def forget(self) -> None:
        return


async def person(database: Database, *, is_root: bool = False) -> Principal:
    user = replace(await create_user(database), is_root=is_root)
    return Principal(user=user, scope=AccessScope(user_id=user.id, is_root=is_root))


async def group_of(database: Database, admin: Principal, name: str = "crew") -> int:
    async with database.unit_of_work(admin.scope) as uow:
        group = await uow.groups.create(name, "")
        await uow.commit()
    return group.id


async def make(service: Service, who: Principal, group_id: int, values: dict[str, Any]) -> ToolRule:
    made: ToolRule = await service.create(
        who, ORIGIN, {"tool": "mail.*", "group_id": group_id, **values}
    )
    return made


@pytest.mark.parametrize(("opened", "values", "refusal"), KINDS)
async def test_whatever_groups_make_root_has_room_for_rules(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    opened: Open,
    values: dict[str, Any],
    refusal: type[Conflict],
) -> None:
    monkeypatch.setattr(rule_service, "RULES_MAX", 3)
    monkeypatch.setattr(rule_service, "ROOTS_SHARE", 1)
    service = opened(database, NobodyKnows())
    ada, root = await person(database), await person(database, is_root=True)
    groups = [await group_of(database, ada, name) for name in ("one", "two", "three")]

    for group_id in groups[:2]:
        await make(service, ada, group_id, values)
    with pytest.raises(refusal):
        await make(service, ada, groups[2], values)

    await make(service, root, groups[2], values)
    with pytest.raises(refusal):
        await make(service, root, groups[2], values)


@pytest.mark.parametrize(("opened", "values", "refusal"), KINDS)
@pytest.mark.parametrize("of_one_group", [False, True])
async def test_rules_that_are_made_at_once_on_two_replicas_are_no_more_than_there_may_be(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    opened: Open,
    values: dict[str, Any],
    refusal: type[Conflict],
    of_one_group: bool,
) -> None:
    if of_one_group:
        monkeypatch.setattr(of_groups, "RULES_OF_GROUP_MAX", 2)
    else:
        monkeypatch.setattr(rule_service, "RULES_MAX", 2 + rule_service.ROOTS_SHARE)
    replicas = [opened(database, NobodyKnows()) for _ in range(2)]
    ada = await person(database)
    group_id = await group_of(database, ada)

    outcomes = await asyncio.gather(
        *(make(replicas[number % 2], ada, group_id, values) for number in range(6)),
        return_exceptions=True,
    )

    refused = [each for each in outcomes if isinstance(each, refusal)]
    made = [each for each in outcomes if not isinstance(each, BaseException)]
    assert (len(made), len(refused)) == (2, 4)
