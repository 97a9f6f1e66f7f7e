"""How somebody leaves all groups at once."""

from dataclasses import dataclass

from persistence.unit_of_work import UnitOfWork
from server.audit.entry import audit_entry, record_unsharing
from server.security.principal import Origin, Principal


@dataclass(frozen=True, kw_only=True)
class Departure:
    """The groups that somebody is in no more."""

    deleted: list[int]
    """Nobody else was in them."""
    left: list[int]


async def leave_all(uow: UnitOfWork, principal: Principal, origin: Origin) -> Departure:
    """Ends the principal's memberships; the groups' admins read of it and of what they lose."""
    user_id = principal.user.id
    shares = await uow.documents.shares(owner_id=user_id)
    departure = Departure(
        deleted=await uow.account.delete_lone_groups(), left=await uow.account.leave_groups()
    )
    await record_unsharing(uow, principal, origin, shares)
    acts = [
        *(("group.delete", ("group", str(each)), each) for each in departure.deleted),
        *(
            ("membership.delete", ("membership", f"{each}/{user_id}"), each)
            for each in departure.left
        ),
    ]
    for action, resource, group_id in acts:
        await uow.audit.record(
            audit_entry(action, principal, origin, resource=resource, group_id=group_id)
        )
    return departure
