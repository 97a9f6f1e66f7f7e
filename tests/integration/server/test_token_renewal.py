"""Tokens that end, renewed by several replicas on one database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from starlette.responses import JSONResponse, Response

from persistence.access import AccessScope
from persistence.database import Database
from server.mcp_oauth.held import HeldAuthorization, end_of, place_of
from server.mcp_oauth.refreshing import REFRESHES_AT_ONCE, TokenRefresher
from server.mcp_oauth.tokens import StoredAuthorizations
from tests.fakes.authorization_server import AuthorizationServerFake, open_authorization_server
from tests.fixtures.rows import SYSTEM, create_user
from tools.authorization.clients import register_client
from tools.authorization.grants import Tokens
from tools.authorization.metadata import read_server
from tools.authorization.wire import AuthorizationWire
from tools.config import HttpServer, parse_server
from tools.errors import AuthorizationNeeded, ServerUnavailable
from tools.registry import RegisteredServer
from tools.settings import OutboundSettings

WAIT_SECONDS = 30
BACK = "https://youworker.example/back"


@pytest.fixture
async def authority() -> AsyncIterator[AuthorizationServerFake]:
    async with open_authorization_server() as fake:
        yield fake


@dataclass
class Time:
    """A clock that a test sets."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Stage:
    """A user who has authorized a server, and replicas that use what was granted."""

    database: Database
    authority: AuthorizationServerFake
    server: RegisteredServer
    user_id: int
    first: str
    """The access token that was granted."""
    time: Time
    refreshers: list[TokenRefresher] = field(default_factory=list)

    def replica(self) -> StoredAuthorizations:
        assert isinstance(self.server.config, HttpServer)
        wire = AuthorizationWire(OutboundSettings(), hosts=["127.0.0.1"], allow_plain=True)
        refresher = TokenRefresher(self.database, wire, clock=self.time)
        self.refreshers.append(refresher)
        return StoredAuthorizations(
            self.server,
            self.server.config,
            database=self.database,
            refresher=refresher,
            clock=self.time,
        )

    async def kept(self) -> HeldAuthorization:
        async with self.database.unit_of_work(AccessScope(user_id=self.user_id)) as uow:
            assert self.server.id is not None
            row = await uow.mcp_authorizations.get(self.user_id, self.server.id)
        assert row is not None
        return HeldAuthorization.from_json(row.body)


@pytest.fixture
async def stage(database: Database, authority: AuthorizationServerFake) -> AsyncIterator[Stage]:
    entry = {"url": f"{authority.url}/mcp", "auth": {"type": "oauth"}}
    config = parse_server("mail", entry)
    assert isinstance(config, HttpServer)
    user, time = await create_user(database), Time()
    wire = AuthorizationWire(OutboundSettings(), allow_plain=True)
    said = await wire.ask(
        "GET", f"{authority.url}/.well-known/oauth-authorization-server", home=authority.url
    )
    issuer = read_server(said.body, issuer=authority.url)
    client = await register_client(
        wire, issuer, redirect_url=BACK, scopes=("read",), home=authority.url
    )
    given = authority._give(client.id, ["read"], place_of(config), "ada-there")
    held = HeldAuthorization(
        server_name="mail",
        place=place_of(config),
        resource=place_of(config),
        client=client,
        issuer=issuer,
        scopes=("read",),
    )
    tokens = Tokens(
        access=given.access_token, refresh=given.refresh_token, seconds=3600, scopes=None
    )
    async with database.unit_of_work(SYSTEM) as uow:
        made = await uow.mcp_servers.create("mail", source="api", config=entry)
        await uow.mcp_authorizations.keep(
            user.id,
            made.id,
            body=held.with_tokens(tokens).as_json(),
            expires_at=end_of(tokens, time.now),
        )
        await uow.commit()
    stage = Stage(
        database=database,
        authority=authority,
        server=RegisteredServer(name="mail", source="api", id=made.id, config=config),
        user_id=user.id,
        first=given.access_token,
        time=time,
    )
    yield stage
    for refresher in stage.refreshers:
        await refresher.settle()


async def test_a_token_that_lasts_is_used_as_it_is(stage: Stage):
    assert await stage.replica().token(stage.user_id) == stage.first
    stage.time.now += 3600 - 61
    assert await stage.replica().token(stage.user_id) == stage.first
    assert stage.authority.count("/token") == 0


async def test_a_token_that_lasts_for_moments_is_used_for_half_of_its_life(stage: Stage):
    stage.authority.seconds = 40
    replica = stage.replica()
    fresh = await replica.renew(stage.user_id, stage.first)
    stage.time.now += 19
    assert await replica.token(stage.user_id) == fresh
    assert stage.authority.count("/token") == 1
    stage.time.now += 1
    assert await replica.token(stage.user_id) != fresh


@pytest.mark.parametrize("seconds", [0, -5, 10**12, 10**400], ids=["none", "less", "long", "huge"])
async def test_a_lifetime_that_makes_no_sense_loses_no_tokens(stage: Stage, seconds: int):
    said = {"access_token": "next", "refresh_token": "rotated", "token_type": "bearer"}
    stage.authority.answers["/token"] = JSONResponse({**said, "expires_in": seconds})
    replica = stage.replica()
    assert await replica.renew(stage.user_id, stage.first) == "next"
    kept = await stage.kept()
    assert (kept.access, kept.refresh) == ("next", "rotated")
    for _ in range(2):
        assert await replica.token(stage.user_id) == "next"
    assert stage.authority.count("/token") == 1


async def test_a_slow_authorization_server_keeps_nobody_waiting_at_others(stage: Stage):
    body = (await stage.kept()).as_json()
    people = [await create_user(stage.database) for _ in range(REFRESHES_AT_ONCE + 1)]
    async with stage.database.unit_of_work(SYSTEM) as uow:
        assert stage.server.id is not None
        made = await uow.mcp_servers.create("other", source="api", config={"url": "http://o/mcp"})
        for each in people:
            await uow.mcp_authorizations.keep(each.id, stage.server.id, body=body, expires_at=None)
        theirs = body | {"access": "theirs"}
        await uow.mcp_authorizations.keep(stage.user_id, made.id, body=theirs, expires_at=None)
        await uow.commit()
    other = RegisteredServer(name="other", source="api", id=made.id, config=stage.server.config)
    stage.authority.may_refresh.clear()
    stage.replica()
    [refresher] = stage.refreshers
    waiting = [
        asyncio.create_task(refresher.refresh(each.id, stage.server, stage.first))
        for each in people
    ]
    async with asyncio.timeout(WAIT_SECONDS):
        await stage.authority.is_refreshing.wait()
        assert await refresher.refresh(stage.user_id, other, "stale") == "theirs"
        assert not any(each.done() for each in waiting)
        stage.authority.may_refresh.set()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_many_calls_at_two_replicas_renew_a_token_once(stage: Stage):
    stage.time.now += 3600
    stage.authority.may_refresh.clear()
    replicas = [stage.replica(), stage.replica()]
    asking = [asyncio.create_task(each.token(stage.user_id)) for each in replicas * 5]
    async with asyncio.timeout(WAIT_SECONDS):
        await stage.authority.is_refreshing.wait()
        stage.authority.may_refresh.set()
        tokens = set(await asyncio.gather(*asking))
    assert stage.authority.count("/token") == 1
    assert tokens == {(await stage.kept()).access}
    assert stage.first not in tokens


async def test_a_refused_token_is_renewed_once_whoever_notices(stage: Stage):
    replicas = [stage.replica(), stage.replica()]
    tokens = await asyncio.gather(
        *(each.renew(stage.user_id, stage.first) for each in replicas * 3)
    )
    assert len(set(tokens)) == 1
    assert stage.authority.count("/token") == 1
    # Whoever comes late with the old one is given the fresh one, and nothing is asked.
    assert await stage.replica().renew(stage.user_id, stage.first) == tokens[0]
    assert stage.authority.count("/token") == 1


async def test_who_gives_up_waiting_does_not_lose_the_fresh_tokens(stage: Stage):
    stage.time.now += 3600
    stage.authority.may_refresh.clear()
    replica = stage.replica()
    asking = asyncio.create_task(replica.token(stage.user_id))
    async with asyncio.timeout(WAIT_SECONDS):
        await stage.authority.is_refreshing.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        stage.authority.may_refresh.set()
        await stage.refreshers[0].settle()
    kept = await stage.kept()
    assert kept.access in stage.authority.access
    assert kept.refresh in stage.authority.refresh


async def test_a_refresh_token_that_was_used_and_not_kept_ends_this_authorization_alone(
    stage: Stage,
):
    """As after a process died between the two."""
    other = await create_user(stage.database)
    async with stage.database.unit_of_work(SYSTEM) as uow:
        assert stage.server.id is not None
        theirs = (await stage.kept()).as_json() | {"access": "theirs", "refresh": None}
        await uow.mcp_authorizations.keep(other.id, stage.server.id, body=theirs, expires_at=None)
        await uow.commit()
    stage.authority.refresh.clear()
    replica = stage.replica()
    with pytest.raises(AuthorizationNeeded, match="youworker mcp login mail"):
        await replica.renew(stage.user_id, stage.first)
    kept = await stage.kept()
    assert (kept.access, kept.refresh) == ("", None)
    with pytest.raises(AuthorizationNeeded):
        await replica.token(stage.user_id)
    assert stage.authority.count("/token") == 1
    assert await replica.token(other.id) == "theirs"
    assert await replica.holders() == [other.id]


@pytest.mark.parametrize(
    "answer",
    [Response(status_code=503), Response(status_code=429), JSONResponse({"access_token": 1})],
)
async def test_an_authorization_server_that_is_down_ends_nothing(stage: Stage, answer: Response):
    stage.authority.answers["/token"] = answer
    replica = stage.replica()
    stage.time.now += 3600 - 30
    assert await replica.token(stage.user_id) == stage.first  # good for half a minute
    stage.time.now += 30
    with pytest.raises(ServerUnavailable, match="authorization server"):
        await replica.token(stage.user_id)
    with pytest.raises(ServerUnavailable):
        await replica.renew(stage.user_id, stage.first)
    del stage.authority.answers["/token"]
    assert await replica.token(stage.user_id) in stage.authority.access


async def test_a_server_that_gives_no_new_refresh_token_goes_on_with_the_old_one(stage: Stage):
    before = (await stage.kept()).refresh
    stage.authority.gives_refresh_tokens = False
    await stage.replica().renew(stage.user_id, stage.first)
    assert (await stage.kept()).refresh == before


async def test_a_token_that_cannot_be_renewed_is_used_to_its_end(stage: Stage):
    assert stage.server.id is not None
    async with stage.database.unit_of_work(AccessScope(user_id=stage.user_id)) as uow:
        row = await uow.mcp_authorizations.lock(stage.user_id, stage.server.id)
        assert row is not None
        await uow.mcp_authorizations.change(
            row, body={**row.body, "refresh": None}, expires_at=row.expires_at
        )
        await uow.commit()
    replica = stage.replica()
    stage.time.now += 3599
    assert await replica.token(stage.user_id) == stage.first
    stage.time.now += 1
    with pytest.raises(AuthorizationNeeded):
        await replica.token(stage.user_id)
    with pytest.raises(AuthorizationNeeded):
        await replica.renew(stage.user_id, stage.first)


async def test_nobody_is_given_anothers_token(stage: Stage):
    other = await create_user(stage.database)
    replica = stage.replica()
    for stranger in (other.id, None, 999_999):
        with pytest.raises(AuthorizationNeeded):
            await replica.token(stranger)
        with pytest.raises(AuthorizationNeeded):
            await replica.renew(stranger, stage.first)


async def test_only_the_token_that_was_refused_ends_with_its_refusal(stage: Stage):
    replica = stage.replica()
    fresh = await replica.renew(stage.user_id, stage.first)
    await replica.refuse(stage.user_id, stage.first)  # says nothing about the fresh one
    assert await replica.token(stage.user_id) == fresh
    await replica.refuse(stage.user_id, fresh)
    with pytest.raises(AuthorizationNeeded):
        await replica.token(stage.user_id)


async def test_tools_are_looked_for_with_those_who_may_use_the_server(stage: Stage):
    assert stage.server.id is not None
    replica = stage.replica()
    assert await replica.holders() == [stage.user_id]
    scope = AccessScope(user_id=stage.user_id)
    async with stage.database.unit_of_work(scope) as uow:
        group = await uow.groups.create("crew", "")
        await uow.commit()
    async with stage.database.unit_of_work(SYSTEM) as uow:
        server = await uow.mcp_servers.get(stage.server.id)
        await uow.mcp_servers.change(server, config=server.config, groups=[group.id], enabled=True)
        await uow.commit()
    assert await replica.holders() == [stage.user_id]
    async with stage.database.unit_of_work(SYSTEM) as uow:
        await uow.mcp_servers.change(server, config=server.config, groups=[], enabled=True)
        await uow.commit()
    assert await replica.holders() == []
