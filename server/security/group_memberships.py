"""Which groups users are in, remembered until the database says that it has changed."""

from collections import OrderedDict

from persistence.access import AccessScope
from persistence.database import Database
from persistence.notifications import Channel, Notifications

KEPT_USERS = 1_000


class GroupMemberships:
    """For what is asked with every message. What grants access asks the database itself.

    A moment may pass until a change is known here.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[int, frozenset[int]] = OrderedDict()
        self._changes = 0

    def follow(self, notifications: Notifications) -> None:
        """Forgets whoever has come into a group or left one, at whichever replica."""
        notifications.subscribe(Channel.MEMBERSHIP_CHANGED, lambda user: self._forget(int(user)))
        notifications.on_gap(self._forget_all)

    async def of(self, scope: AccessScope) -> frozenset[int]:
        """The groups of the scope's user.

        Raises:
            DatabaseUnavailable: They could not be read.
        """
        known = self._known.get(scope.user_id)
        if known is not None:
            self._known.move_to_end(scope.user_id)
            return known
        changes = self._changes
        async with self._database.unit_of_work(scope) as uow:
            groups = await uow.groups.ids()
        if changes == self._changes:  # else it may be of the past already
            self._known[scope.user_id] = groups
            if len(self._known) > KEPT_USERS:
                self._known.popitem(last=False)
        return groups

    def _forget(self, user_id: int) -> None:
        self._known.pop(user_id, None)
        self._changes += 1

    def _forget_all(self) -> None:
        self._known.clear()
        self._changes += 1
