"""From a recorded run to one that can be executed, by whichever process has it."""

from dataclasses import replace
from functools import partial

from graph.context import AgentContext, Listen
from graph.llm.chat_model import ChatModels
from persistence.account_records import User
from persistence.database import Database
from persistence.run_records import Run, RunClaim, RunInput
from server.errors import UnknownModel
from server.questions.asker import Asker
from server.questions.hearing import RunHearing
from server.runs.journal import RunJournal
from server.runs.past import RunPast
from server.runs.run import RunRequest
from server.security.identity_tokens import IdentityTokens
from server.security.principal import Origin, Principal, scope_of
from server.security.tool_access import ToolAccess
from server.security.tool_limits import ToolLimits
from server.security.tool_policies import ToolPolicies
from server.tool_contents.service import ToolContentService
from tools.client import McpTool
from tools.scope import ScopeSigner


def asker(user: User, asked: RunInput) -> tuple[Principal, Origin]:
    """Who asked, and from where, as the run remembers it."""
    principal = Principal(
        user=user,
        scope=scope_of(user),
        api_key_id=asked.api_key_id,
        scopes=frozenset(asked.scopes),
    )
    origin = Origin(ip=asked.ip, user_agent=asked.user_agent, correlation_id=asked.correlation_id)
    return principal, origin


class RunPreparation:
    """Gives a run its model, its tools and what they are told of the caller."""

    def __init__(
        self,
        *,
        database: Database,
        models: ChatModels,
        default_model: str,
        access: ToolAccess,
        signer: ScopeSigner,
        identities: IdentityTokens,
        policies: ToolPolicies,
        limits: ToolLimits,
        contents: ToolContentService,
        hearing: RunHearing,
        owner: str,
    ) -> None:
        """Args: owner: under whose lease the runs are executed here."""
        self._database = database
        self._models = models
        self._default_model = default_model
        self._access = access
        self._signer = signer
        self._identities = identities
        self._policies = policies
        self._limits = limits
        self._contents = contents
        self._hearing = hearing
        self._owner = owner

    def choose_model(self, name: str | None) -> str:
        """The name of the model that answers: the one asked for, or the default.

        Raises:
            UnknownModel: It is not on the allow-list.
        """
        chosen = name or self._default_model
        if chosen not in self._models.by_spec:
            raise UnknownModel(details={"available": sorted(self._models.by_spec)})
        return chosen

    def can_answer(self, run: Run) -> bool:
        """Whether this process has the run's model."""
        return run.model in self._models.by_spec

    async def offer(self, asked: RunInput, principal: Principal) -> tuple[McpTool, ...]:
        """The tools that a run is given.

        Raises:
            DatabaseUnavailable: What the principal may use has changed and could not be read.
        """
        return await self._access.offer(principal) if asked.enable_tools else ()

    def prepare(
        self,
        run: Run,
        asked: RunInput,
        principal: Principal,
        origin: Origin,
        *,
        tools: tuple[McpTool, ...],
        past: RunPast | None = None,
    ) -> RunRequest:
        """Makes a run ready that this process has claimed."""
        claim = RunClaim(run_id=run.id, attempt=run.attempt, owner=self._owner)
        return RunRequest(
            claim=claim,
            session_row_id=run.session_row_id,
            input=asked,
            model=run.model,
            context=replace(
                self._context(run, asked, principal, tools),
                contents=self._contents.of_run(claim, principal.scope, model=run.model),
                listen=self._listen(
                    run, Asker(claim=claim, principal=principal, origin=origin), past
                ),
            ),
            principal=principal,
            origin=origin,
            journal=RunJournal(
                self._database,
                claim,
                principal=principal,
                origin=origin,
                earlier=past.tool_runs if past is not None else (),
            ),
            past=past,
        )

    def _listen(self, run: Run, asker: Asker, past: RunPast | None) -> Listen | None:
        model = self._models.by_spec.get(run.model)
        if model is None:
            return None
        return self._hearing.of(asker, model, () if past is None else past.sampling_calls)

    def _context(
        self, run: Run, asked: RunInput, principal: Principal, tools: tuple[McpTool, ...]
    ) -> AgentContext:
        return AgentContext(
            model=self._models.by_spec.get(run.model),
            tools=tools,
            tools_enabled=asked.enable_tools,
            caller=self._signer.sign(principal.scope, run_id=str(run.id), scopes=principal.scopes),
            user_id=principal.scope.user_id,
            run_id=str(run.id),
            identity=self._identities.for_run(principal, str(run.id)),
            policy=self._policies.for_caller(principal.scope),
            limits=self._limits.for_caller(principal.scope),
            why_denied=partial(self._access.why_denied, principal),
        )
