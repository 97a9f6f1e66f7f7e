"""What the product works with once it is there."""

from dataclasses import dataclass

from loaders.pipeline import Pipeline
from server.account.service import AccountService
from server.admission import Doors
from server.analytics.service import AnalyticsService
from server.audit.service import AuditService
from server.chat.answers import AnswerService
from server.chat.service import ChatService
from server.chat.sessions import SessionService
from server.documents.contents import DocumentContents
from server.documents.editing import DocumentEditor
from server.documents.ingestion import IngestService
from server.documents.service import DocumentService
from server.groups.service import GroupService
from server.health.service import HealthService
from server.mcp.service import McpServerService
from server.mcp.tool_service import ToolService
from server.mcp_endpoint.service import McpService
from server.mcp_oauth.service import AuthorizationService
from server.prompts.service import PromptService
from server.questions.service import QuestionService
from server.runs.approvals import ApprovalService
from server.runs.executor import RunExecutor
from server.runs.feed import RunFeed
from server.runs.keeper import RunKeeper
from server.runs.service import RunService
from server.security.identity_tokens import IdentityTokens
from server.security.revocation import Revocation
from server.settings import Settings
from server.tool_contents.service import ToolContentService
from server.tool_limits.service import ToolLimitService
from server.tool_policies.service import ToolPolicyService
from server.users.service import UserService


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What the routes work with."""

    settings: Settings
    doors: Doors
    revocation: Revocation
    executor: RunExecutor
    keeper: RunKeeper
    chat: ChatService
    answers: AnswerService
    sessions: SessionService
    approvals: ApprovalService
    questions: QuestionService
    tool_policies: ToolPolicyService
    tool_limits: ToolLimitService
    mcp_servers: McpServerService
    authorizations: AuthorizationService
    identities: IdentityTokens
    tools: ToolService
    prompts: PromptService
    tool_contents: ToolContentService
    feed: RunFeed
    runs: RunService
    documents: DocumentService
    ingestion: IngestService
    pipeline: Pipeline
    editor: DocumentEditor
    contents: DocumentContents
    groups: GroupService
    users: UserService
    account: AccountService
    audit: AuditService
    health: HealthService
    analytics: AnalyticsService
    mcp: McpService
