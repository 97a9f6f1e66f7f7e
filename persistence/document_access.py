"""The database, as far as searching needs it: which documents exist, and who may see them."""

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from persistence.access import AccessScope
from persistence.records import Document, Page


class TitledDocument(Protocol):
    """What a passage shows of its document."""

    @property
    def title(self) -> str:
        """The name that people know it by."""
        ...

    @property
    def filename(self) -> str:
        """The name that it came by."""
        ...


class DocumentJudge(Protocol):
    """Tells which documents exist and may be seen."""

    async def visible(self, ids: Collection[int]) -> Mapping[int, TitledDocument]:
        """Those of the documents that the scope may see, by id."""
        ...

    async def list(self, *, limit: int, offset: int) -> Page[Document]:
        """Those that the scope may see, the newest first."""
        ...


class GroupJudge(Protocol):
    """Tells which groups the scope's user is in."""

    async def ids(self) -> frozenset[int]:
        """The ids of the groups."""
        ...


class DocumentUnit(Protocol):
    """A unit of work, as far as searching needs one."""

    @property
    def documents(self) -> DocumentJudge:
        """The documents under the unit's scope."""
        ...

    @property
    def groups(self) -> GroupJudge:
        """The groups under the unit's scope."""
        ...


class DocumentDatabase(Protocol):
    """The database, as far as searching needs one."""

    def unit_of_work(self, scope: AccessScope) -> AbstractAsyncContextManager[DocumentUnit]:
        """A unit that reads under the scope."""
        ...
