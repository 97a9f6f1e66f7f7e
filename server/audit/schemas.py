"""What the audit trail takes and answers."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

LARGEST_ID = 2**63 - 1
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
Moment = Annotated[AwareDatetime | None, Field(ge=EARLIEST, lt=LATEST)]
RowIdFilter = Annotated[int | None, Field(ge=1, le=LARGEST_ID)]


class AuditQuery(BaseModel):
    """Which entries; all conditions hold together."""

    model_config = ConfigDict(extra="forbid")

    actor_id: RowIdFilter = None
    action: Annotated[str | None, Field(pattern=r"^[a-z_]+(\.[a-z_]+)?$", max_length=64)] = None
    """`user.create`, or `user` for everything that was done to users."""
    resource_type: Annotated[str | None, Field(pattern=r"^[a-z_]+$", max_length=64)] = None
    resource_id: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    """Goes with `resource_type`."""
    success: bool | None = None
    since: Moment = None
    until: Moment = None
    """Not included."""
    correlation_id: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    group_id: RowIdFilter = None

    @property
    def conditions(self) -> dict[str, Any]:
        """Those that were given."""
        return self.model_dump(include=set(AuditQuery.model_fields), exclude_none=True)


class AuditPageQuery(AuditQuery):
    """Which entries, and which page of them."""

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    offset: Annotated[int, Field(ge=0, le=2**31)] = 0


class AuditEntryAnswer(BaseModel):
    """Who did what to which thing, when and from where."""

    id: int
    created_at: datetime
    action: str
    resource_type: str
    resource_id: str | None
    success: bool
    actor_id: int | None
    actor_name: str | None
    group_id: int | None
    ip: str | None
    user_agent: str | None
    correlation_id: str | None
    details: dict[str, Any] | None
    system_reason: str | None
    """Why the system itself acted, if it did."""
    readable: bool
    """False for an entry that was not written by this installation; `audit verify` names it."""


class AuditList(BaseModel):
    """A page of entries."""

    entries: list[AuditEntryAnswer]
    total: int
    limit: int
    offset: int
