"""What groups take and answer."""

import unicodedata
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from server.dependencies import ROW_ID_MAX

_MISLEADING = {"Cc", "Zl", "Zp"}
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _require_plain(name: str) -> str:
    if any(unicodedata.category(each) in _MISLEADING or each in _BIDI_CONTROLS for each in name):
        raise ValueError("a name holds no control characters")
    if not any(each.isprintable() and not each.isspace() for each in name):
        raise ValueError("a name can be seen")
    return name


GroupName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(_require_plain),
]
Description = Annotated[str, StringConstraints(max_length=1_000)]
Role = Literal["member", "admin"]


class GroupCreate(BaseModel):
    """A group to make."""

    model_config = ConfigDict(extra="forbid")

    name: GroupName
    """Unique in the installation; letter case does not count."""
    description: Description = ""


class GroupUpdate(BaseModel):
    """What of a group is to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: GroupName | None = None
    description: Description | None = None

    @model_validator(mode="after")
    def _require_change(self) -> Self:
        if self.name is None and self.description is None:
            raise ValueError("give a name or a description")
        return self


class MemberCreate(BaseModel):
    """Somebody to take in."""

    model_config = ConfigDict(extra="forbid")

    user_id: Annotated[int, Field(ge=1, le=ROW_ID_MAX)]
    role: Role = "member"


class MemberUpdate(BaseModel):
    """What of a membership can be changed."""

    model_config = ConfigDict(extra="forbid")

    role: Role


class MemberAnswer(BaseModel):
    """Somebody in a group."""

    user_id: int
    username: str
    role: Role
    joined_at: datetime


class GroupAnswer(BaseModel):
    """A group."""

    id: int
    name: str
    description: str
    role: Role
    """The caller's own."""
    from_provider: bool
    """Whether an identity provider made it and says who is in it."""
    member_count: int
    created_at: datetime
    updated_at: datetime


class GroupDetail(GroupAnswer):
    """A group with who is in it."""

    members: list[MemberAnswer]


class GroupList(BaseModel):
    """A page of the groups that one is in."""

    groups: list[GroupAnswer]
    total: int
    limit: int
    offset: int
