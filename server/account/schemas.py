"""What the account routes take and answer."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class AccountUser(BaseModel):
    """The caller."""

    id: int
    username: str
    is_root: bool
    created_at: datetime


class AccountCountsAnswer(BaseModel):
    """How much there is of everything; what others share with the caller is not counted."""

    sessions: int
    messages: int
    documents: int
    bytes: Annotated[int, Field(description="the size of the documents' originals")]
    api_keys: Annotated[int, Field(description="the revoked ones too")]
    groups: int


class AccountAnswer(BaseModel):
    """The caller's account."""

    user: AccountUser
    counts: AccountCountsAnswer


class HistoryDeleted(BaseModel):
    """What came of deleting one's history."""

    sessions_deleted: int


class AccountDeletion(BaseModel):
    """What confirms that the account is to be deleted."""

    model_config = ConfigDict(extra="forbid")

    confirm: Annotated[
        str, Field(max_length=1000, description="one's own username, letter for letter")
    ]
