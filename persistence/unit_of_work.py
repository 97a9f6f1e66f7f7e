"""The unit of work: the repositories over one transaction, under one scope."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from types import TracebackType
from typing import Self

from persistence.access import AccessScope
from persistence.encryption import KeyRing
from persistence.notifications import Channel, notify
from persistence.repositories.accounts import AccountRepository
from persistence.repositories.api_keys import ApiKeyRepository
from persistence.repositories.approvals import ApprovalRepository
from persistence.repositories.audit import AuditRepository
from persistence.repositories.audit_seals import AuditSealRepository
from persistence.repositories.document_contents import DocumentContentRepository
from persistence.repositories.document_labels import DocumentLabelRepository
from persistence.repositories.documents import DocumentRepository
from persistence.repositories.groups import GroupRepository
from persistence.repositories.identities import IdentityRepository
from persistence.repositories.ingest_files import IngestFileRepository
from persistence.repositories.ingest_leftovers import IngestLeftoverRepository
from persistence.repositories.ingest_reports import IngestReportRepository
from persistence.repositories.ingest_runs import IngestRunRepository
from persistence.repositories.ingest_turns import IngestTurnRepository
from persistence.repositories.login_sessions import LoginSessionRepository
from persistence.repositories.mcp_attempts import McpAttemptRepository
from persistence.repositories.mcp_authorizations import McpAuthorizationRepository
from persistence.repositories.mcp_servers import McpServerRepository
from persistence.repositories.mcp_tools import McpToolRepository
from persistence.repositories.memberships import MembershipRepository
from persistence.repositories.message_images import MessageImageRepository
from persistence.repositories.messages import MessageRepository
from persistence.repositories.model_calls import ModelCallRepository
from persistence.repositories.questions import QuestionRepository
from persistence.repositories.run_claims import RunClaimRepository
from persistence.repositories.run_events import RunEventRepository
from persistence.repositories.runs import RunRepository
from persistence.repositories.session_search import SessionSearchRepository
from persistence.repositories.sessions import SessionRepository
from persistence.repositories.tool_contents import ToolContentRepository
from persistence.repositories.tool_limits import ToolLimitRepository
from persistence.repositories.tool_policies import ToolPolicyRepository
from persistence.repositories.tool_runs import ToolRunRepository
from persistence.repositories.turns import TurnRepository
from persistence.repositories.usage import UsageRepository
from persistence.repositories.users import UserRepository
from persistence.repositories.vector_collections import VectorCollectionRepository
from persistence.transaction import Transaction


class UnitOfWork:
    """Rolls back at its end unless `commit` was called; may be committed more than once.

    The connection is taken at the first statement, so that opening one costs nothing.
    """

    def __init__(
        self,
        transaction: Transaction,
        *,
        scope: AccessScope,
        key_ring: KeyRing,
        files_per_user: int,
        on_audited: Callable[[], None] | None = None,
    ) -> None:
        """Args: on_audited: called after a commit that may have added to the audit trail."""
        self.scope = scope
        self._key_ring = key_ring
        self._transaction = transaction
        self._files_per_user = files_per_user
        self._on_audited = on_audited

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._transaction.close()

    async def commit(self) -> None:
        """Make everything that was done so far last.

        Raises:
            DatabaseUnavailable: The database broke off; whether it committed is not known.
        """
        await self._transaction.commit()
        if self._on_audited is not None and "audit" in vars(self):  # put there by cached_property
            self._on_audited()

    def part(self) -> AbstractAsyncContextManager[None]:
        """Undo what is done within if that fails, so that what was done before can be committed.

        Raises:
            DatabaseUnavailable: The database cannot be reached or broke off.
        """
        return self._transaction.part()

    async def notify(self, channel: Channel, payload: str) -> None:
        """Tell whoever listens on any replica, when this is committed.

        Raises:
            InvalidValue: The payload is too long for a notification.
        """
        await notify(self._transaction, channel, payload)

    @cached_property
    def users(self) -> UserRepository:
        """The accounts."""
        return UserRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def account(self) -> AccountRepository:
        """The user's account as a whole."""
        return AccountRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def api_keys(self) -> ApiKeyRepository:
        """The API keys."""
        return ApiKeyRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def logins(self) -> LoginSessionRepository:
        """The login sessions."""
        return LoginSessionRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def identities(self) -> IdentityRepository:
        """Whom identity providers mean."""
        return IdentityRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def sessions(self) -> SessionRepository:
        """The conversations."""
        return SessionRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def messages(self) -> MessageRepository:
        """What was said in conversations."""
        return MessageRepository(self._transaction, self.scope, self._key_ring, self.message_images)

    @cached_property
    def message_images(self) -> MessageImageRepository:
        """The images of messages."""
        return MessageImageRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def turns(self) -> TurnRepository:
        """The turns of conversations, to be copied or superseded."""
        return TurnRepository(self._transaction, self.scope, self._key_ring, self.message_images)

    @cached_property
    def session_search(self) -> SessionSearchRepository:
        """The conversations, to be looked through."""
        return SessionSearchRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def model_calls(self) -> ModelCallRepository:
        """What was asked of models."""
        return ModelCallRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def runs(self) -> RunRepository:
        """The runs of the agent."""
        return RunRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def run_claims(self) -> RunClaimRepository:
        """Which process the runs belong to."""
        return RunClaimRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def run_events(self) -> RunEventRepository:
        """What was to be seen of runs."""
        return RunEventRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def tool_runs(self) -> ToolRunRepository:
        """The tool calls of runs."""
        return ToolRunRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def tool_contents(self) -> ToolContentRepository:
        """The pictures, sounds and files that tools have answered with."""
        return ToolContentRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def approvals(self) -> ApprovalRepository:
        """What people were asked about tool calls."""
        return ApprovalRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def questions(self) -> QuestionRepository:
        """What servers asked people during tool calls."""
        return QuestionRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def tool_policies(self) -> ToolPolicyRepository:
        """The rules about tool calls."""
        return ToolPolicyRepository(self._transaction, self.scope, self._key_ring, self.groups)

    @cached_property
    def tool_limits(self) -> ToolLimitRepository:
        """The rules on what tool calls may take."""
        return ToolLimitRepository(self._transaction, self.scope, self._key_ring, self.groups)

    @cached_property
    def mcp_servers(self) -> McpServerRepository:
        """The MCP servers."""
        return McpServerRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def mcp_tools(self) -> McpToolRepository:
        """The tools of MCP servers, as they were approved."""
        return McpToolRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def mcp_authorizations(self) -> McpAuthorizationRepository:
        """What people have granted at MCP servers."""
        return McpAuthorizationRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def mcp_attempts(self) -> McpAttemptRepository:
        """Authorizations at MCP servers that people have begun."""
        return McpAttemptRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def usage(self) -> UsageRepository:
        """What was used, by day."""
        return UsageRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def documents(self) -> DocumentRepository:
        """The documents."""
        return DocumentRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def document_labels(self) -> DocumentLabelRepository:
        """The documents' titles and tags."""
        return DocumentLabelRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def document_contents(self) -> DocumentContentRepository:
        """What documents are read from."""
        return DocumentContentRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def ingest_runs(self) -> IngestRunRepository:
        """What was given to be made searchable."""
        return IngestRunRepository(self._transaction, self.scope, self._key_ring, self.ingest_turns)

    @cached_property
    def ingest_files(self) -> IngestFileRepository:
        """The files of that, to be worked on."""
        return IngestFileRepository(
            self._transaction, self.scope, self._key_ring, self.ingest_turns
        )

    @cached_property
    def ingest_reports(self) -> IngestReportRepository:
        """What has become of what was given."""
        return IngestReportRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def ingest_leftovers(self) -> IngestLeftoverRepository:
        """What ended files have left."""
        return IngestLeftoverRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def ingest_turns(self) -> IngestTurnRepository:
        """Whose turn it is to be worked on."""
        return IngestTurnRepository(
            self._transaction,
            self.scope,
            self._key_ring,
            files_per_user=self._files_per_user,
        )

    @cached_property
    def groups(self) -> GroupRepository:
        """The groups."""
        return GroupRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def memberships(self) -> MembershipRepository:
        """Who is in which group."""
        return MembershipRepository(self._transaction, self.scope, self._key_ring, self.groups)

    @cached_property
    def audit(self) -> AuditRepository:
        """The audit trail, written in the same transaction as the act."""
        return AuditRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def audit_seals(self) -> AuditSealRepository:
        """The seals of the audit trail."""
        return AuditSealRepository(self._transaction, self.scope, self._key_ring)

    @cached_property
    def vector_collections(self) -> VectorCollectionRepository:
        """The collections of the vector index."""
        return VectorCollectionRepository(self._transaction, self.scope, self._key_ring)
