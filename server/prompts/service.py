"""Prompts of MCP servers: which of them somebody may use, and what they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from persistence.access import AccessScope
from persistence.database import Database
from persistence.records import Page
from server.audit.entry import audit_entry
from server.errors import (
    AuthorizationMissing,
    BadRequest,
    PromptFailed,
    PromptNotFound,
    ServerAway,
    ServerError,
)
from server.security.principal import Origin, Principal
from tools.calls import CallContext
from tools.catalog import ToolCatalog
from tools.errors import (
    AuthorizationNeeded,
    CallRejected,
    PromptUnknown,
    PromptUnusable,
    ToolsError,
)
from tools.names import qualify
from tools.prompt_reading import as_line
from tools.prompt_values import FilledPrompt, Prompt
from tools.prompts import PromptCatalog

REASON_MAX_CHARS = 600
_INVALID_PARAMS = -32602
"""What MCP says that a server answers to arguments that it cannot use."""


@dataclass(frozen=True, kw_only=True)
class PromptPage:
    """A page of prompts."""

    page: Page[Prompt]
    unavailable: Sequence[str]
    """Servers that did not say in time which prompts they have, or not before the principal has
    authorized them."""


class PromptService:
    """What of it somebody may use is decided by the servers' groups, as with tools.

    The prompts are not held when they change: no model is told of them, and nothing is sent before
    a person has seen what it says.
    """

    def __init__(self, database: Database, catalog: ToolCatalog, prompts: PromptCatalog) -> None:
        self._database = database
        self._catalog = catalog
        self._prompts = prompts

    async def list_prompts(
        self, principal: Principal, *, server: str | None, limit: int, offset: int
    ) -> PromptPage:
        """The prompts of all servers that the principal may use, or of one of them."""
        groups = await self._groups(principal.scope)
        servers = [
            each.name
            for each in self._catalog.servers()
            if server in {None, each.name} and self._is_for(each.name, groups)
        ]
        found = await self._prompts.list_prompts(servers, _context(principal))
        page = Page(
            items=list(found.prompts[offset : offset + limit]),
            total=len(found.prompts),
            limit=limit,
            offset=offset,
        )
        return PromptPage(page=page, unavailable=found.unavailable)

    async def get(
        self,
        principal: Principal,
        origin: Origin,
        *,
        server: str,
        name: str,
        arguments: Mapping[str, str],
    ) -> FilledPrompt:
        """A prompt with its blanks filled in; that somebody had it is in the audit trail.

        Raises:
            PromptNotFound: There is none that the principal may use.
            BadRequest: The arguments are not what the prompt takes.
            AuthorizationMissing: The principal has to authorize its server first.
            ServerAway: Its server does not answer.
            PromptFailed: Its server answers with an error, or with what cannot be shown.
        """
        if not self._is_for(server, await self._groups(principal.scope)):
            raise PromptNotFound
        context = _context(principal)
        prompt = await self._find(server, name, context)
        if faults := prompt.faults_in(arguments):
            raise _bad_arguments(faults)
        succeeded = False
        try:
            filled = await self._fill(prompt, arguments, context)
            succeeded = True
        finally:
            await self._record(principal, origin, prompt, succeeded=succeeded)
        return filled

    async def _find(self, server: str, name: str, context: CallContext) -> Prompt:
        try:
            return await self._prompts.find(server, name, context)
        except ToolsError as exc:
            raise _explain(exc) from exc

    async def _fill(
        self, prompt: Prompt, arguments: Mapping[str, str], context: CallContext
    ) -> FilledPrompt:
        try:
            return await self._prompts.get(prompt, arguments, context)
        except ToolsError as exc:
            raise _explain(exc) from exc

    async def _record(
        self, principal: Principal, origin: Origin, prompt: Prompt, *, succeeded: bool
    ) -> None:
        entry = audit_entry(
            "prompt.get",
            principal,
            origin,
            resource=("prompt", qualify(prompt.server, prompt.name)),
            success=succeeded,
        )
        async with self._database.unit_of_work(principal.scope) as uow:
            await uow.audit.record(entry)
            await uow.commit()

    async def _groups(self, scope: AccessScope) -> frozenset[int]:
        async with self._database.unit_of_work(scope) as uow:
            return await uow.groups.ids()

    def _is_for(self, server: str, groups: frozenset[int]) -> bool:
        wanted = self._catalog.groups_of(server)
        return wanted is None or not wanted.isdisjoint(groups)


def _context(principal: Principal) -> CallContext:
    return CallContext(user_id=principal.user.id)


def _bad_arguments(faults: Mapping[str, str]) -> BadRequest:
    errors = [
        {"field": f"body.arguments.{name}", "problem": problem} for name, problem in faults.items()
    ]
    return BadRequest(details={"errors": errors})


def _explain(error: ToolsError) -> ServerError:
    """What the caller is told; a server's own words only without what does not show."""
    match error:
        case PromptUnknown():
            return PromptNotFound()
        case AuthorizationNeeded():
            return AuthorizationMissing()
        case CallRejected(code=code):
            reason = {"reason": as_line(str(error), REASON_MAX_CHARS)}
            if code == _INVALID_PARAMS:
                return BadRequest("The server cannot use these arguments.", details=reason)
            return PromptFailed(details=reason)
        case PromptUnusable():
            return PromptFailed(details={"reason": str(error)})
    return ServerAway()
