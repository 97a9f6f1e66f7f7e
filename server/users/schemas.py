"""What users and keys take and answer."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from server.policy import KeyScope
from server.security.usernames import USERNAME_PATTERN

KeyName = Annotated[str, Field(min_length=1, max_length=100)]
LATEST_EXPIRY = datetime(9000, 1, 1, tzinfo=UTC)
"""Far from the last year that a date can have, whatever the time zone."""
ExpiryTime = Annotated[AwareDatetime, Field(lt=LATEST_EXPIRY)]


def _without_repeats(scopes: list[KeyScope]) -> list[KeyScope]:
    return sorted(set(scopes))


class UserCreate(BaseModel):
    """A user to make."""

    model_config = ConfigDict(extra="forbid")

    username: Annotated[str, Field(pattern=USERNAME_PATTERN)]


class UserUpdate(BaseModel):
    """What of a user can be changed."""

    model_config = ConfigDict(extra="forbid")

    is_active: bool


class UserAnswer(BaseModel):
    """A user."""

    id: int
    username: str
    is_root: bool
    is_active: bool
    created_at: datetime


class UserList(BaseModel):
    """A page of users."""

    users: list[UserAnswer]
    total: int
    limit: int
    offset: int


class ApiKeyCreate(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    name: KeyName
    scopes: Annotated[list[KeyScope], AfterValidator(_without_repeats)] = Field(
        default_factory=list,  # left out; to name an empty list is a mistake
        min_length=1,
        description="what the key may do; left out, whatever its user may",
    )
    expires_at: ExpiryTime | None = None


class ApiKeyAnswer(BaseModel):
    """A key, without its text."""

    id: int
    name: str
    prefix: str
    """The first characters, to tell keys apart."""
    scopes: list[str]
    """What the key is restricted to; an empty list restricts nothing."""
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


class IssuedApiKey(ApiKeyAnswer):
    """A new key; its text is shown here and never again."""

    key: str


class ApiKeyList(BaseModel):
    """One's own keys."""

    api_keys: list[ApiKeyAnswer]
    total: int
    limit: int
    offset: int
