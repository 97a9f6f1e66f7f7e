"""What authentication takes and answers."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from server.security.usernames import USERNAME_PATTERN

API_KEY_MAX_CHARS = 512
PRINTABLE = r"^[ -~]+$"
"""What a header could carry as well."""


class LoginRequest(BaseModel):
    """A key to log in with."""

    model_config = ConfigDict(extra="forbid")

    api_key: Annotated[str, Field(pattern=PRINTABLE, max_length=API_KEY_MAX_CHARS, repr=False)]


class AutoLoginRequest(BaseModel):
    """Nothing but in development, where a name makes a local user."""

    model_config = ConfigDict(extra="forbid")

    username: Annotated[str, Field(pattern=USERNAME_PATTERN)] | None = None


class LoggedInUser(BaseModel):
    """Who is calling."""

    id: int
    username: str
    is_root: bool
    created_at: datetime


class LoginAnswer(BaseModel):
    """A login; its tokens are in the cookies."""

    user: LoggedInUser
    csrf_token: str
    """To be sent as `X-CSRF-Token` with whatever changes state."""
    expires_at: datetime
    """When the access token ends; refresh it before."""


class CsrfAnswer(BaseModel):
    """The CSRF token of a login."""

    csrf_token: str
