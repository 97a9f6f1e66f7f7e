"""The composition root: the one place where things are built, and where they are closed again."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import structlog

from graph.agent import build_agent
from graph.llm.chat_model import open_chat_models, open_model_address
from graph.llm.embedded.errors import WeightsUnavailable
from graph.llm.embedded.model_files import prepare_speech_model
from graph.llm.embedded.settings import default_cache_dir
from graph.llm.vision import VisionModels
from graph.settings import AgentSettings
from loaders.pipeline import open_pipeline
from loaders.speech.errors import SpeechUnavailable
from loaders.speech.transcriber import open_transcriber
from persistence.access import AccessScope
from persistence.account_records import User
from persistence.audit_chain import AuditChain
from persistence.audit_head import HeadMemory
from persistence.blobs import BlobStore
from persistence.checkpoints import open_checkpointer
from persistence.database import Database, open_database
from persistence.encryption import KeyRing
from persistence.notifications import open_notifications
from persistence.passage_rotation import serve_rotation
from server.account.eraser import AccountEraser, keep_resuming
from server.account.service import AccountService
from server.admission import build_doors
from server.analytics.rolling import keep_rolling_up
from server.analytics.service import AnalyticsService
from server.audit.sealer import keep_sealed
from server.audit.service import AuditService
from server.chat.answers import AnswerService
from server.chat.media import MediaIntake
from server.chat.service import ChatService
from server.chat.sessions import SessionService
from server.documents.contents import DocumentContents
from server.documents.editing import DocumentEditor
from server.documents.service import DocumentService
from server.documents.sharing import DocumentSharing
from server.erasure.documents import DocumentEraser
from server.erasure.sessions import SessionEraser
from server.groups.service import GroupService
from server.health.service import HealthService
from server.ingestion_parts import IngestionBase, build_ingestion, keep_house
from server.installation import InstallationSecrets
from server.jobs.runner import keep_jobs
from server.mcp.tool_service import ToolService
from server.mcp_endpoint.agent_tool import AgentTool
from server.mcp_endpoint.document_tools import DocumentTools
from server.mcp_endpoint.open_calls import OpenCalls
from server.mcp_endpoint.service import McpService
from server.opening import enter_both
from server.questions.asker import QUESTIONS_MAX
from server.resources import Resources
from server.retrieval_parts import open_retriever
from server.run_parts import RunBase, open_runs
from server.runs.approvals import ApprovalService
from server.runs.event_retention import keep_expiring
from server.runs.keeper import keep_runs
from server.runs.leases import keep_leases
from server.runs.service import RunService
from server.security.revocation import open_revocation
from server.settings import LlmSettings, Settings
from server.tool_contents.service import ToolContentService
from server.tool_parts import open_tools
from server.users.service import UserService
from tools.scope import ScopeSigner

__all__ = ["Resources", "find_speech_model", "open_resources"]

EMBEDDED_HISTORY_TOKENS = 1_200
CALLER_MARGIN_SECONDS = 60.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_resources(
    settings: Settings, secrets: InstallationSecrets
) -> AsyncIterator[Resources]:
    """Opens everything in order, yields it, and closes it in reverse.

    Raises:
        PersistenceError, GraphError, LoaderError, ToolsError: A part cannot be opened.
    """
    data_dir = settings.data_dir.absolute()
    configured_keys = KeyRing(secrets.key_list)
    _announce_embedded(settings)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        llm, database = await enter_both(
            stack,
            open_model_address(settings.llm),
            open_database(settings.database, key_ring=configured_keys, data_dir=data_dir),
        )
        key_ring = database.key_ring
        chain = AuditChain(database, key_ring, HeadMemory(data_dir, key_ring))
        await enter(keep_sealed(chain, database.audited))
        notifications = await enter(open_notifications(database.dsn))
        revocation = await enter(open_revocation(database, notifications))
        checkpointer = await enter(open_checkpointer(database.dsn, key_ring))
        retriever = await open_retriever(llm, database, data_dir, notifications, stack)
        if settings.llm.qdrant_url is None:
            await enter(serve_rotation(database, notifications, retriever))
        find_speech = partial(find_speech_model, settings.llm)
        pipeline = await enter(open_pipeline(settings.ingest, settings.speech, find_speech))
        # What tools are told of the caller holds as long as a run may take and wait for answers.
        signer = ScopeSigner(
            secrets.jwt_secret,
            ttl_seconds=settings.runs.timeout_seconds
            + QUESTIONS_MAX * settings.mcp.question_seconds
            + CALLER_MARGIN_SECONDS,
        )
        tools = await enter(
            open_tools(
                settings,
                database,
                notifications,
                retriever=retriever,
                signer=signer,
                jwt_secret=secrets.jwt_secret,
            )
        )
        catalog, rules = tools.catalog, tools.rules
        models = await enter(open_chat_models(llm))
        transcriber = await enter(open_transcriber(settings.speech, find_speech))
        vision = VisionModels(models, declared=llm.vision_models)
        media = MediaIntake(transcriber=transcriber, vision=vision, limits=settings.images)
        contents = ToolContentService(database, vision, settings.mcp)
        agent = build_agent(
            models.default, (), checkpointer=checkpointer, settings=_agent_settings(settings)
        )
        runs = await enter(
            open_runs(
                RunBase(
                    settings=settings,
                    database=database,
                    notifications=notifications,
                    revocation=revocation,
                    checkpointer=checkpointer,
                    agent=agent,
                    models=models,
                    default_model=llm.chat_model,
                    tools=tools,
                    contents=contents,
                    signer=signer,
                )
            )
        )
        executor, canceller = runs.executor, runs.canceller
        blobs = BlobStore(data_dir / "blobs", key_ring)
        document_eraser = DocumentEraser(database=database, blobs=blobs, retriever=retriever)
        session_eraser = SessionEraser(
            database=database, canceller=canceller, checkpointer=checkpointer
        )
        ingestion = build_ingestion(
            IngestionBase(
                settings=settings,
                database=database,
                notifications=notifications,
                revocation=revocation,
                retriever=retriever,
                pipeline=pipeline,
                blobs=blobs,
            )
        )
        account_eraser = AccountEraser(
            database=database,
            sessions=session_eraser,
            documents=document_eraser,
            ingestion=ingestion.eraser,
        )
        documents = DocumentService(
            database=database, blobs=blobs, retriever=retriever, eraser=document_eraser
        )
        executor.on_stopping(ingestion.feed.stop)
        await enter(keep_house(database, ingestion.eraser, days=settings.jobs.retention_days))
        await enter(keep_resuming(account_eraser))
        await enter(keep_rolling_up(database))
        await enter(keep_expiring(database, hours=settings.runs.event_retention_hours))
        # When everything is there that runs need.
        await enter(keep_leases(runs.leases))
        await enter(keep_runs(runs.keeper, notifications, alone=database.embedded))
        if settings.jobs.in_api:
            await enter(keep_jobs(ingestion.runner))
        chat = ChatService(
            database=database,
            executor=executor,
            preparation=runs.preparation,
            canceller=canceller,
            revocation=revocation,
            media=media,
            settings=settings.runs,
            owner=runs.owner,
        )
        answers = AnswerService(
            database=database,
            executor=executor,
            feed=runs.feed,
            revocation=revocation,
            patience_seconds=settings.runs.timeout_seconds,
        )
        # What was begun by those who have left; it ends with the help of all that is above.
        stack.push_async_callback(canceller.settle)
        stack.push_async_callback(chat.settle)
        yield Resources(
            settings=settings,
            doors=build_doors(database, key_ring, settings, secrets, await _ensure_root(database)),
            revocation=revocation,
            executor=executor,
            keeper=runs.keeper,
            chat=chat,
            answers=answers,
            sessions=SessionService(database=database, eraser=session_eraser, memory=runs.memory),
            feed=runs.feed,
            runs=RunService(
                database=database, canceller=canceller, feed=runs.feed, revocation=revocation
            ),
            approvals=ApprovalService(database, catalog),
            questions=runs.questions,
            tool_policies=rules.policy_service,
            tool_limits=rules.limit_service,
            tools=ToolService(database, catalog, rules.policies, rules.policy_service),
            prompts=tools.prompts,
            tool_contents=contents,
            mcp_servers=tools.servers,
            authorizations=tools.authorizations,
            identities=tools.identities,
            documents=documents,
            ingestion=ingestion.service,
            pipeline=pipeline,
            editor=DocumentEditor(database, DocumentSharing(database, retriever)),
            contents=DocumentContents(database=database, blobs=blobs, revocation=revocation),
            groups=GroupService(database, retriever),
            users=UserService(database),
            account=AccountService(
                database=database,
                blobs=blobs,
                sessions=session_eraser,
                eraser=account_eraser,
                revocation=revocation,
            ),
            audit=AuditService(database, chain, revocation),
            analytics=AnalyticsService(database),
            health=HealthService(
                {
                    "database": database.ping,
                    "qdrant": retriever.ping,
                    "llm": models.ping,
                },
                catalog,
            ),
            mcp=McpService(
                database=database,
                documents=DocumentTools(documents),
                agent=AgentTool(chat, answers, runs.feed),
                calls=OpenCalls(database, notifications),
            ),
        )


def _agent_settings(settings: Settings) -> AgentSettings:
    """The embedded model reads some 90 tokens a second: a long history would cost half a minute."""
    if settings.llm.ollama_base_url is not None:
        return settings.agent
    tokens = min(settings.agent.history_tokens, EMBEDDED_HISTORY_TOKENS)
    return settings.agent.model_copy(update={"history_tokens": tokens})


async def find_speech_model(llm: LlmSettings) -> Path:
    """The folder of the speech model: the installation's own, or the small one of the cache.

    Raises:
        SpeechUnavailable: There is none.
    """
    if llm.whisper_model_dir is not None:
        return llm.whisper_model_dir
    cache_dir = llm.embedded_cache_dir or default_cache_dir()
    try:
        return await prepare_speech_model(models_dir=cache_dir / "models")
    except WeightsUnavailable as exc:
        raise SpeechUnavailable(str(exc)) from exc


async def _ensure_root(database: Database) -> User:
    async with database.unit_of_work(AccessScope.system("installation")) as uow:
        root = await uow.users.ensure_root()
        await uow.commit()
    return root


def _announce_embedded(settings: Settings) -> None:
    embedded = {
        "database": settings.database.url is None,
        "index": settings.llm.qdrant_url is None,
        "model": settings.llm.ollama_base_url is None,
    }
    parts = [name for name, is_embedded in embedded.items() if is_embedded]
    if parts:
        log.info("embedded_defaults", parts=parts, data_dir=str(settings.data_dir))
