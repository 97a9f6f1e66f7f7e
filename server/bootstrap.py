"""The composition root: the one place where things are built, and where they are closed again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import structlog

from graph.agent import build_agent
from graph.llm.chat_model import open_chat_models, open_model_address
from graph.settings import AgentSettings
from loaders.pipeline import open_pipeline
from persistence.access import AccessScope
from persistence.audit_chain import AuditChain
from persistence.audit_head import HeadMemory
from persistence.blobs import BlobStore
from persistence.checkpoints import open_checkpointer
from persistence.database import Database, open_database
from persistence.encryption import KeyRing
from persistence.notifications import open_notifications
from persistence.rate_limits import RateLimiter
from persistence.records import User
from persistence.retrieval import Retriever
from persistence.vectors.embeddings import OllamaEmbedder
from persistence.vectors.index import open_index
from server.account.eraser import AccountEraser, keep_resuming
from server.account.service import AccountService
from server.audit.sealer import keep_sealed
from server.audit.service import AuditService
from server.auth.service import AuthService
from server.chat.service import ChatService
from server.documents.service import DocumentService
from server.documents.sharing import DocumentSharing
from server.erasure.documents import DocumentEraser
from server.erasure.sessions import SessionEraser
from server.groups.service import GroupService
from server.health.service import HealthService
from server.installation import InstallationSecrets
from server.runs.executor import RunExecutor
from server.runs.lease import Lease, keep_leases
from server.runs.recorder import RunRecorder
from server.security.cookies import LoginCookies
from server.security.credentials import Authenticator
from server.security.csrf import CsrfTokens
from server.security.forward_auth import ForwardedIdentity, ForwardedUsers
from server.security.local_login import LocalLogin
from server.security.login_tokens import LoginTokens
from server.security.logins import LoginService
from server.security.networks import Networks
from server.security.provisioning import Provisioner
from server.security.revocation import Revocation, open_revocation
from server.security.sso.attempt_cookie import AttemptCookie
from server.security.standing import StandingLogins, fingerprint
from server.security.tokens import TokenSigner
from server.settings import LlmSettings, Settings
from server.sso.service import SsoService
from server.users.service import UserService
from tools.catalog import open_catalog
from tools.scope import ScopeSigner

A = TypeVar("A")
B = TypeVar("B")

EMBEDDED_HISTORY_TOKENS = 1_200

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Doors:
    """What decides who comes in."""

    authenticator: Authenticator
    rate_limiter: RateLimiter
    auth: AuthService
    logins: LoginService
    cookies: LoginCookies
    sso: SsoService
    attempt_cookie: AttemptCookie
    csrf: CsrfTokens


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What the routes work with."""

    settings: Settings
    doors: Doors
    revocation: Revocation
    executor: RunExecutor
    chat: ChatService
    documents: DocumentService
    sharing: DocumentSharing
    groups: GroupService
    users: UserService
    account: AccountService
    audit: AuditService
    health: HealthService


@asynccontextmanager
async def open_resources(
    settings: Settings, secrets: InstallationSecrets
) -> AsyncIterator[Resources]:
    """Opens everything in order, yields it, and closes it in reverse.

    Raises:
        PersistenceError, GraphError, LoaderError, ToolError: A part cannot be opened.
    """
    data_dir = settings.data_dir.absolute()
    key_ring = KeyRing(secrets.key_list)
    _announce_embedded(settings)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        llm, database = await _enter_both(
            stack,
            open_model_address(settings.llm),
            open_database(settings.database, key_ring=key_ring, data_dir=data_dir),
        )
        chain = AuditChain(database, key_ring, HeadMemory(data_dir, key_ring))
        await enter(keep_sealed(chain, database.audited))
        notifications = await enter(open_notifications(database.dsn))
        revocation = await enter(open_revocation(database, notifications))
        checkpointer = await enter(open_checkpointer(database.dsn, key_ring))
        retriever = await _open_retriever(llm, database, key_ring, data_dir, stack)
        pipeline = await enter(open_pipeline(settings.ingest))
        signer = ScopeSigner(secrets.jwt_secret)
        catalog = await enter(open_catalog(settings.mcp, signer=signer, retriever=retriever))
        models = await enter(open_chat_models(llm))
        agent = build_agent(
            models.default, (), checkpointer=checkpointer, settings=_agent_settings(settings)
        )
        executor = RunExecutor(agent, RunRecorder(database, checkpointer))
        lease = Lease(database)
        await enter(keep_leases(lease, executor.live_ids))
        stack.push_async_callback(executor.stop)
        blobs = BlobStore(data_dir / "blobs", key_ring)
        document_eraser = DocumentEraser(database=database, blobs=blobs, retriever=retriever)
        session_eraser = SessionEraser(
            database=database, executor=executor, checkpointer=checkpointer
        )
        account_eraser = AccountEraser(
            database=database, sessions=session_eraser, documents=document_eraser
        )
        sharing = DocumentSharing(database, retriever)
        documents = DocumentService(
            database=database,
            blobs=blobs,
            pipeline=pipeline,
            retriever=retriever,
            sharing=sharing,
            eraser=document_eraser,
            revocation=revocation,
            max_file_bytes=settings.ingest.max_file_bytes,
            max_passages=settings.ingest.max_passages,
        )
        await documents.discard_abandoned()
        await enter(keep_resuming(account_eraser))
        yield Resources(
            settings=settings,
            doors=_build_doors(database, key_ring, settings, secrets, await _ensure_root(database)),
            revocation=revocation,
            executor=executor,
            chat=ChatService(
                database=database,
                executor=executor,
                lease=lease,
                models=models,
                default_model=llm.chat_model,
                catalog=catalog,
                signer=signer,
                eraser=session_eraser,
                revocation=revocation,
            ),
            documents=documents,
            sharing=sharing,
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
            health=HealthService(
                {
                    "database": database.ping,
                    "qdrant": retriever.ping,
                    "llm": models.ping,
                },
                catalog,
            ),
        )


def _build_doors(
    database: Database,
    key_ring: KeyRing,
    settings: Settings,
    secrets: InstallationSecrets,
    root: User,
) -> Doors:
    security = settings.security
    signer = TokenSigner(secrets.jwt_secret)
    csrf = CsrfTokens(secrets.jwt_secret)
    standing = StandingLogins(
        database.credentials, root_key_hash=fingerprint(secrets.root_api_key, key_ring)
    )
    authenticator = Authenticator(
        database, root_key=secrets.root_api_key, root=root, tokens=signer, standing=standing
    )
    logins = LoginService(
        database,
        LoginTokens(signer, csrf, access_seconds=security.access_token_seconds),
        standing,
        login_seconds=security.login_seconds,
    )
    provisioner = Provisioner(database)
    forwarded = ForwardedIdentity(
        security.authentik, trusted_proxies=Networks(security.trusted_proxies)
    )
    return Doors(
        authenticator=authenticator,
        rate_limiter=database.rate_limits,
        auth=AuthService(
            authenticator,
            logins,
            csrf,
            forwarded=ForwardedUsers(forwarded, provisioner=provisioner, logins=logins),
            local=LocalLogin(database) if settings.app_env == "development" else None,
        ),
        logins=logins,
        sso=SsoService(security.oidc, key_ring=key_ring, provisioner=provisioner, logins=logins),
        attempt_cookie=AttemptCookie(secure=settings.production),
        cookies=LoginCookies(secure=settings.production, max_age_seconds=security.login_seconds),
        csrf=csrf,
    )


def _agent_settings(settings: Settings) -> AgentSettings:
    """The embedded model reads some 90 tokens a second: a long history would cost half a minute."""
    if settings.llm.ollama_base_url is not None:
        return settings.agent
    tokens = min(settings.agent.history_tokens, EMBEDDED_HISTORY_TOKENS)
    return settings.agent.model_copy(update={"history_tokens": tokens})


async def _enter_both(
    stack: AsyncExitStack,
    first: AbstractAsyncContextManager[A],
    second: AbstractAsyncContextManager[B],
) -> tuple[A, B]:
    """Opens two things at once: the model and the database take seconds each to start."""
    opening = [asyncio.ensure_future(each.__aenter__()) for each in (first, second)]
    await asyncio.wait(opening, return_when=asyncio.FIRST_EXCEPTION)
    for task in opening:  # whoever is still at it when the other failed need not go on
        task.cancel()
    opened = await asyncio.gather(*opening, return_exceptions=True)
    for manager, value in zip((first, second), opened, strict=True):
        if not isinstance(value, BaseException):
            stack.push_async_exit(manager)
    failures = [value for value in opened if isinstance(value, BaseException)]
    if failures:
        raise next((f for f in failures if isinstance(f, Exception)), failures[0])
    return cast("tuple[A, B]", tuple(opened))


async def _open_retriever(
    llm: LlmSettings,
    database: Database,
    key_ring: KeyRing,
    data_dir: Path,
    stack: AsyncExitStack,
) -> Retriever:
    assert llm.ollama_base_url is not None  # noqa: S101 - settled by open_model_address
    embedder = await stack.enter_async_context(
        OllamaEmbedder(
            llm.ollama_base_url,
            llm.embed_model,
            llm.ollama_api_key,
        )
    )
    index = await stack.enter_async_context(
        open_index(llm, data_dir=data_dir, dimension=embedder.dimension, model=embedder.model)
    )
    return Retriever(database, index, embedder, key_ring)


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
