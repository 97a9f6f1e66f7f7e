"""What executes runs, put together: the executor, its feed, and who keeps and cancels runs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from graph.agent import Agent
from graph.llm.chat_model import ChatModels
from persistence.checkpoint_saver import EncryptedPostgresSaver
from persistence.database import Database
from persistence.notifications import Notifications
from server.chat.titles import open_titles
from server.question_parts import open_questions
from server.questions.service import QuestionService
from server.runs.canceller import RunCanceller
from server.runs.executor import RunExecutor
from server.runs.feed import RunFeed
from server.runs.keeper import RunKeeper
from server.runs.leases import RunLeases
from server.runs.log_writer import LogWriter, open_log_writer
from server.runs.memory import SessionMemory
from server.runs.preparation import RunPreparation
from server.runs.recorder import RunRecorder
from server.runs.takeover import RunTakeover
from server.security.revocation import Revocation
from server.settings import Settings
from server.tool_contents.service import ToolContentService
from server.tool_parts import ToolParts
from tools.scope import ScopeSigner


@dataclass(frozen=True, kw_only=True)
class RunBase:
    """What the parts work with."""

    settings: Settings
    database: Database
    notifications: Notifications
    revocation: Revocation
    checkpointer: EncryptedPostgresSaver
    agent: Agent
    models: ChatModels
    default_model: str
    tools: ToolParts
    contents: ToolContentService
    signer: ScopeSigner


@dataclass(frozen=True, kw_only=True)
class RunParts:
    """The parts, which share what they work with."""

    owner: str
    """Under whose lease runs are executed here."""
    executor: RunExecutor
    feed: RunFeed
    preparation: RunPreparation
    keeper: RunKeeper
    leases: RunLeases
    canceller: RunCanceller
    memory: SessionMemory
    questions: QuestionService


@asynccontextmanager
async def open_runs(base: RunBase) -> AsyncIterator[RunParts]:
    """Open them; in the end every run is handed over or written down."""
    settings, database, owner = base.settings, base.database, uuid4().hex
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        memory = SessionMemory(database, base.agent)
        writer = await enter(open_log_writer(database.event_log, base.notifications, owner=owner))
        feed = RunFeed(database, writer, base.notifications)
        executor = _build_executor(base, writer, memory)
        if settings.agent.titles:
            titles = await enter(open_titles(database, prompt=settings.agent.title_prompt))
            executor.on_settled(titles.take)
        executor.on_stopping(feed.stop)
        stack.push_async_callback(executor.stop)
        asking = await enter(
            open_questions(
                settings.mcp,
                database,
                base.notifications,
                executor=executor,
                catalog=base.tools.catalog,
            )
        )
        rules = base.tools.rules
        preparation = RunPreparation(
            database=database,
            models=base.models,
            default_model=base.default_model,
            access=rules.access,
            signer=base.signer,
            identities=base.tools.identities,
            policies=rules.policies,
            limits=rules.limits,
            contents=base.contents,
            hearing=asking.hearing,
            owner=owner,
        )
        keeper = _build_keeper(base, executor, preparation, owner=owner)
        yield RunParts(
            owner=owner,
            executor=executor,
            feed=feed,
            preparation=preparation,
            keeper=keeper,
            leases=RunLeases(
                database=database,
                executor=executor,
                owner=owner,
                lease_seconds=settings.runs.lease_seconds,
            ),
            canceller=RunCanceller(
                database=database,
                executor=executor,
                keeper=keeper,
                notifications=base.notifications,
            ),
            memory=memory,
            questions=asking.service,
        )


def _build_executor(base: RunBase, writer: LogWriter, memory: SessionMemory) -> RunExecutor:
    recorder = RunRecorder(
        base.database,
        writer,
        checkpointer=base.checkpointer,
        approval_seconds=base.settings.runs.approval_seconds,
    )
    return RunExecutor(
        base.agent,
        recorder,
        writer,
        rewind=memory.rewind,
        timeout_seconds=base.settings.runs.timeout_seconds,
        grace_seconds=base.settings.api.shutdown_seconds,
    )


def _build_keeper(
    base: RunBase, executor: RunExecutor, preparation: RunPreparation, *, owner: str
) -> RunKeeper:
    takeover = RunTakeover(
        database=base.database,
        executor=executor,
        preparation=preparation,
        revocation=base.revocation,
        max_crashes=base.settings.runs.max_crashes,
    )
    return RunKeeper(
        database=base.database,
        executor=executor,
        takeover=takeover,
        owner=owner,
        lease_seconds=base.settings.runs.lease_seconds,
        max_live=base.settings.runs.max_live,
    )
