"""People let the product act for them at an MCP server, over real HTTP, each for themselves."""

import asyncio
import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import httpx
import jwt
import pytest
import pytest_asyncio

from server.mcp_oauth.cookie import COOKIE_PREFIX
from tests.fakes.authorization_server import (
    AuthorizationServerFake,
    consent,
    open_authorization_server,
    redirect_to,
)
from tests.fakes.ollama_server import ScriptedOllama
from tests.fakes.protected_mcp_server import ProtectedServer, open_protected_server
from tests.fixtures.browser import browser_for, log_in, set_cookies
from tests.fixtures.plaintext_scan import find_in_database
from tests.fixtures.product import Product, new_secrets, open_product, settings_for
from tests.integration.server.people import Person, make_group, open_person, told
from tests.integration.server.serving_tools import SERVERS, new_name, results_told

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTHORIZATIONS = "/v1/mcp/authorizations"
NOT_FOUND = "MCP_AUTHORIZATION_NOT_FOUND"
PUBLIC_URL = "https://youworker.example"
WAIT_SECONDS = 30


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def product(postgres_server, tmp_path_factory) -> AsyncIterator[Product]:
    database_url = postgres_server.lend()
    async with ScriptedOllama() as model:
        settings = settings_for(tmp_path_factory.mktemp("product"), database_url, model)
        settings = settings.model_copy(
            update={
                "api": settings.api.model_copy(update={"public_url": PUBLIC_URL}),
                "mcp": settings.mcp.model_copy(update={"authorization_hosts": ("127.0.0.1",)}),
            }
        )
        async with open_product(settings, new_secrets(), model) as running:
            yield running
    postgres_server.take_back(database_url)


@pytest_asyncio.fixture(loop_scope="module")
async def authority() -> AsyncIterator[AuthorizationServerFake]:
    async with open_authorization_server() as fake:
        yield fake


class Added:
    """A protected server that root has added."""

    def __init__(self, product: Product, fake: ProtectedServer, made: dict[str, Any]) -> None:
        self.fake = fake
        self.authority = fake.authority
        self.name: str = made["name"]
        self.id: int = made["id"]
        self.path = f"{SERVERS}/{made['id']}"
        self.authorization = f"{self.path}/authorization"
        self._product = product

    async def authorize(self, client: httpx.AsyncClient, person: str) -> httpx.Response:
        """Have somebody grant it as a person of the authorization server."""
        begun = await client.post(self.authorization)
        assert begun.status_code == 200, begun.text
        self.authority.person = person
        back = await consent(begun.json()["authorization_url"])
        return await self._product.client.get(back, headers={"Authorization": ""})

    def person_of(self, token: str) -> str | None:
        """Who a token is for, there."""
        return self.authority.access[token].subject

    def renewals(self) -> list[dict[str, str]]:
        """What tokens were renewed with."""
        return [each for _, each in self.authority.asked if "refresh_token" in each]

    async def trail(self, act: str) -> list[dict[str, Any]]:
        """What the audit trail says of it."""
        params = {"action": f"mcp_authorization.{act}", "limit": 100}
        entries = (await self._product.client.get("/v1/audit", params=params)).json()["entries"]
        return [each for each in entries if each["resource_id"] == str(self.id)]

    async def learned(self) -> None:
        """Wait until somebody was told of the tools."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not (await self._product.client.get(self.path)).json()["status"]["tools"]:
                await self._product.client.post(f"{self.path}/refresh")

    async def ask(self, client: httpx.AsyncClient, tool: str = "whoami") -> str:
        """Have the model call a tool for somebody; return what it was told."""
        self._product.model.call(f"{self.name}__{tool}", {})
        self._product.model.reply("Done.")
        answer = await client.post("/v1/chat", json={"text_input": "Who am I there?"})
        assert answer.status_code == 200, answer.text
        return results_told(self._product)[-1]


@pytest_asyncio.fixture(loop_scope="module")
async def added(product: Product, authority: AuthorizationServerFake) -> AsyncIterator[Added]:
    async with open_protected_server(authority) as fake:
        config = {"url": fake.url, "auth": {"type": "oauth"}, "trustAnnotations": True}
        body = {"name": new_name(), "config": config}
        answer = await product.client.post(SERVERS, json=body)
        assert answer.status_code == 201, answer.text
        made = Added(product, fake, answer.json())
        yield made
        await product.client.delete(made.path)


@pytest_asyncio.fixture(loop_scope="module")
async def ada(product: Product) -> AsyncIterator[Person]:
    async with open_person(product, "ada") as person:
        yield person


@pytest_asyncio.fixture(loop_scope="module")
async def bob(product: Product) -> AsyncIterator[Person]:
    async with open_person(product, "bob") as person:
        yield person


async def standing(added: Added, client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get(AUTHORIZATIONS)
    assert answer.status_code == 200, answer.text
    [mine] = [each for each in answer.json()["authorizations"] if each["server_id"] == added.id]
    shown: dict[str, Any] = mine
    return shown


async def test_each_acts_there_as_themselves(added: Added, ada: Person, bob: Person):
    assert (await standing(added, ada.client))["status"] == "missing"
    done = await added.authorize(ada.client, "ada-there")
    assert done.status_code == 200, done.text
    assert done.headers["content-type"].startswith("text/html")
    assert added.name in done.text
    assert ada.name in done.text
    await added.authorize(bob.client, "bob-there")
    await added.learned()

    answers = [await added.ask(each.client) for each in (ada, bob, ada)]

    people = ["ada-there", "bob-there", "ada-there"]
    assert ["You: " + person in text for person, text in zip(people, answers, strict=True)] == [
        True
    ] * 3
    mine = await standing(added, ada.client)
    assert (mine["status"], mine["scopes"], mine["renewable"]) == ("good", ["read"], True)
    mine_there = {token for token in added.fake.tokens if added.person_of(token) == "ada-there"}
    theirs = set(added.fake.tokens) - mine_there
    assert len(mine_there) == len(theirs) == 1


async def test_who_has_not_authorized_is_told_how_and_hinders_nobody(
    added: Added, ada: Person, bob: Person
):
    await added.authorize(ada.client, "ada-there")
    await added.learned()
    for _ in range(6):  # more than a circuit breaker lets pass
        text = await added.ask(bob.client)
        assert f"youworker mcp login {added.name}" in text
        assert f"POST /v1/mcp/servers/{added.id}/authorization" in text
    assert "You: ada-there" in await added.ask(ada.client)


async def test_what_is_taken_back_is_gone_here_and_there(added: Added, ada: Person, bob: Person):
    await added.authorize(ada.client, "ada-there")
    await added.learned()
    assert "You: ada-there" in await added.ask(ada.client)

    assert told(await bob.client.delete(added.authorization)) == (404, NOT_FOUND)
    gone = await ada.client.delete(added.authorization)
    assert (gone.status_code, gone.json()) == (200, {"revoked": True})
    assert added.authority.refresh == {}
    assert told(await ada.client.delete(added.authorization)) == (404, NOT_FOUND)
    assert "youworker mcp login" in await added.ask(ada.client)
    assert (await standing(added, ada.client))["status"] == "missing"


async def test_a_call_under_way_ends_with_the_authorization(added: Added, ada: Person):
    await added.authorize(ada.client, "ada-there")
    await added.learned()
    added.fake.may_answer.clear()
    asking = asyncio.create_task(added.ask(ada.client))
    async with asyncio.timeout(WAIT_SECONDS):
        await added.fake.is_called.wait()
        await ada.client.delete(added.authorization)
        text = await asking
    added.fake.may_answer.set()
    assert f"youworker mcp login {added.name}" in text


async def test_tokens_are_renewed_before_they_end_and_when_they_are_refused(
    added: Added, ada: Person
):
    added.authority.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}
    added.authority.seconds = 1  # as good as over
    await added.authorize(ada.client, "ada-there")
    await added.learned()
    async with asyncio.timeout(WAIT_SECONDS):
        while not added.renewals():
            assert "You: ada-there" in await added.ask(ada.client)
    added.authority.seconds = None  # and nothing is said any more of when
    assert "You: ada-there" in await added.ask(ada.client)
    renewed = len(added.renewals())

    added.authority.forget_access()
    assert "You: ada-there" in await added.ask(ada.client)
    assert len(added.renewals()) == renewed + 1
    assert len({fields["refresh_token"] for fields in added.renewals()}) == renewed + 1
    assert all(fields["resource"] == added.fake.url for fields in added.renewals())


async def test_an_authorization_that_cannot_be_renewed_ends(added: Added, ada: Person):
    await added.authorize(ada.client, "ada-there")
    await added.learned()
    added.authority.forget_access()
    added.authority.refresh.clear()
    assert "youworker mcp login" in await added.ask(ada.client)
    assert (await standing(added, ada.client))["status"] == "ended"
    asked = len(added.authority.asked)
    assert "youworker mcp login" in await added.ask(ada.client)
    assert len(added.authority.asked) == asked  # nothing is tried again and again
    [entry] = await added.trail("refresh_failed")
    assert (entry["success"], entry["actor_id"]) == (False, ada.id)

    await added.authorize(ada.client, "ada-there")
    assert "You: ada-there" in await added.ask(ada.client)


async def test_what_is_not_granted_yet_is_asked_for_the_next_time(added: Added, ada: Person):
    await added.authorize(ada.client, "ada-there")
    await added.learned()
    text = await added.ask(ada.client, "write")
    assert "asks for: write" in text
    assert f"youworker mcp login {added.name}" in text
    assert "You: ada-there" in await added.ask(ada.client)

    await added.authorize(ada.client, "ada-there")
    assert (await standing(added, ada.client))["scopes"] == ["read", "write"]
    assert "You: ada-there" in await added.ask(ada.client, "write")


async def test_an_answer_is_good_once_and_for_whoever_began(
    product: Product, added: Added, ada: Person, bob: Person
):
    async def begin() -> str:
        begun = await ada.client.post(added.authorization)
        return await consent(begun.json()["authorization_url"])

    back = await begin()
    assert (await bob.client.get(back)).status_code == 400  # somebody else is logged in there
    assert (await ada.client.get(back)).status_code == 400  # and so it was used up
    back = await begin()
    done = await ada.client.get(back)
    assert done.status_code == 200
    assert (await ada.client.get(back)).status_code == 400
    callback = back.partition("?")[0]
    for query in ("", "?code=x", "?state=x&code=y", "?error=access_denied"):
        refused = await product.client.get(callback + query)
        assert refused.status_code == 400
        assert refused.headers["content-type"].startswith("text/html")


async def test_a_browser_that_began_has_to_be_the_one_that_comes_back(
    product: Product, added: Added, ada: Person
):
    key = ada.client.headers["Authorization"].removeprefix("Bearer ")
    async with browser_for(product.url) as browser, browser_for(product.url) as another:
        await log_in(browser, key)
        begun = await browser.post(added.authorization)
        [(name, kept)] = set_cookies(begun).items()
        assert name.startswith(COOKIE_PREFIX)
        assert {"httponly", "samesite=lax", "path=/v1/mcp/authorization"} <= kept
        back = await consent(begun.json()["authorization_url"])
        assert (await another.get(back)).status_code == 400

        begun = await browser.post(added.authorization)
        back = await consent(begun.json()["authorization_url"])
        # What comes back of something else, as from a page that somebody made, harms nothing.
        foreign = back.partition("?")[0] + "?state=x&code=y"
        assert (await browser.get(foreign)).status_code == 400
        assert (await browser.get(back)).status_code == 200

        begun = await browser.post(added.authorization)
        back = await consent(begun.json()["authorization_url"])
        await browser.post("/v1/auth/logout")
        assert (await browser.get(back)).status_code == 400  # the login has ended meanwhile


async def test_an_answer_that_comes_to_another_servers_address_grants_nothing(
    product: Product, added: Added, ada: Person
):
    """As when a hostile server sends people to the page of another's authorization server."""
    begun = await ada.client.post(added.authorization)
    back = await consent(begun.json()["authorization_url"])
    path = f"/v1/mcp/authorization/callback/{added.id}"
    assert back.startswith(f"{path}?")
    elsewhere = back.replace(path, path + "9")
    assert (await product.client.get(elsewhere, headers={"Authorization": ""})).status_code == 400
    assert (await product.client.get(back, headers={"Authorization": ""})).status_code == 400
    assert added.authority.count("/token") == 0


async def test_what_was_begun_ends_with_its_key_and_with_what_is_taken_back(
    product: Product, added: Added, ada: Person
):
    made = await ada.client.post("/v1/api-keys", json={"name": "short"})
    key = {"Authorization": f"Bearer {made.json()['key']}"}
    begun = await ada.client.post(added.authorization, headers=key)
    back = await consent(begun.json()["authorization_url"])
    await ada.client.delete(f"/v1/api-keys/{made.json()['id']}")
    assert (await product.client.get(back, headers={"Authorization": ""})).status_code == 400

    await added.authorize(ada.client, "ada-there")
    begun = await ada.client.post(added.authorization)
    back = await consent(begun.json()["authorization_url"])
    await ada.client.delete(added.authorization)
    assert (await product.client.get(back, headers={"Authorization": ""})).status_code == 400
    assert (await standing(added, ada.client))["status"] == "missing"


@pytest.mark.parametrize(
    "misbehaviour",
    [{"speaks_as": "https://evil.example"}, {"refuses": "access_denied"}],
    ids=["another issuer", "no consent"],
)
async def test_what_comes_back_wrong_grants_nothing(
    added: Added, ada: Person, misbehaviour: dict[str, str]
):
    for name, value in misbehaviour.items():
        setattr(added.authority, name, value)
    answer = await added.authorize(ada.client, "ada-there")
    assert answer.status_code == 400
    assert added.authority.count("/token") == 0
    assert (await standing(added, ada.client))["status"] == "missing"


@pytest.mark.parametrize(
    ("metadata", "published"),
    [
        ({"issuer": "https://evil.example"}, {}),
        ({"registration_endpoint": "http://169.254.169.254/latest"}, {}),
        ({}, {"resource": "https://evil.example/mcp"}),
    ],
)
async def test_a_server_that_does_not_play_by_the_rules_is_not_authorized(
    added: Added, ada: Person, metadata: dict[str, Any], published: dict[str, Any]
):
    added.authority.metadata = metadata
    added.fake.published = published
    assert told(await ada.client.post(added.authorization)) == (502, "MCP_AUTHORIZATION_FAILED")


async def test_no_code_is_sent_where_a_token_endpoint_redirects_to(added: Added, ada: Person):
    added.authority.answers["/token"] = redirect_to(f"{added.authority.url}/elsewhere")
    answer = await added.authorize(ada.client, "ada-there")
    assert answer.status_code == 502
    assert added.authority.count("/elsewhere") == 0


async def test_a_server_that_is_for_others_is_as_if_it_were_not_there(
    product: Product, added: Added, ada: Person, bob: Person
):
    group_id = await make_group(ada)
    await product.client.patch(added.path, json={"groups": [group_id]})
    begun = await ada.client.post(added.authorization)
    assert begun.status_code == 200
    nowhere = await bob.client.post(f"{SERVERS}/999999999/authorization")
    theirs = await bob.client.post(added.authorization)
    assert told(nowhere) == told(theirs) == (404, "MCP_SERVER_NOT_FOUND")
    shown = (await bob.client.get(AUTHORIZATIONS)).json()["authorizations"]
    assert added.id not in [each["server_id"] for each in shown]

    back = await consent(begun.json()["authorization_url"])
    await ada.client.delete(f"/v1/groups/{group_id}")
    assert (await product.client.get(back, headers={"Authorization": ""})).status_code == 400


async def test_tokens_are_not_sent_to_a_server_that_stands_elsewhere_now(
    product: Product, added: Added, authority: AuthorizationServerFake, ada: Person
):
    await added.authorize(ada.client, "ada-there")
    await added.learned()
    async with open_protected_server(authority) as elsewhere:
        config = {"url": elsewhere.url, "auth": {"type": "oauth"}, "trustAnnotations": True}
        await product.client.patch(added.path, json={"config": config})
        listed = await standing(added, ada.client)
        assert elsewhere.tokens == []
        assert listed["status"] == "good"  # at the old address, should it come back
        status = (await product.client.get(added.path)).json()["status"]
        assert (status["healthy"], status["tools"]) == (False, 0)


async def test_a_server_that_wants_none_says_so(product: Product, ada: Person):
    config = {"url": "http://127.0.0.1:1/mcp"}
    body = {"name": new_name(), "config": config}
    made = (await product.client.post(SERVERS, json=body)).json()
    answer = await ada.client.post(f"{SERVERS}/{made['id']}/authorization")
    assert told(answer) == (409, "MCP_AUTHORIZATION_NOT_USED")
    await product.client.delete(f"{SERVERS}/{made['id']}")


async def test_nothing_that_lets_anybody_in_is_shown_or_stands_in_clear(
    product: Product, added: Added, ada: Person
):
    await added.authorize(ada.client, "ada-there")
    await added.learned()
    await added.ask(ada.client)
    [client] = added.authority.clients.values()
    secrets = [*added.authority.access, *added.authority.refresh, client.client_secret or ""]
    assert len(secrets) == 3
    dsn = product.settings.database.url
    assert dsn is not None
    for secret in secrets:
        assert await find_in_database(dsn.get_secret_value(), secret) == []
    shown = [
        await product.client.get(added.path),
        await ada.client.get(AUTHORIZATIONS),
        await product.client.get("/v1/audit", params={"limit": 100}),
        await ada.client.get("/v1/account/export"),
    ]
    assert all(answer.is_success for answer in shown)
    assert not any(secret in answer.text for answer in shown[:3] for secret in secrets)
    with ZipFile(BytesIO(shown[3].content)) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    [granted] = json.loads(texts["authorizations.json"])
    assert (granted["server"], granted["scopes"]) == (added.name, ["read"])
    assert not any(secret in text for text in texts.values() for secret in secrets)
    acts = [entry["action"] for act in ("begin", "grant") for entry in await added.trail(act)]
    assert acts == ["mcp_authorization.begin", "mcp_authorization.grant"]


async def test_who_asks_for_it_is_told_who_is_asking_and_nobody_else(
    product: Product, added: Added, ada: Person
):
    group_id = await make_group(ada)
    await added.authorize(ada.client, "ada-there")
    await added.learned()
    await added.ask(ada.client)
    assert "youworker/identity" not in added.fake.metas[-1]
    assert "x-youworker-identity" not in added.fake.headers[-1]

    config = {
        "url": added.fake.url,
        "auth": {"type": "oauth"},
        "trustAnnotations": True,
        "identity": {"audience": "https://tools.example"},
    }
    await product.client.patch(added.path, json={"config": config})
    await added.learned()
    assert "You: ada-there" in await added.ask(ada.client)
    token = added.fake.metas[-1]["youworker/identity"]
    assert added.fake.headers[-1]["x-youworker-identity"] == token
    async with httpx.AsyncClient(base_url=product.url, verify=False) as anybody:
        [key] = (await anybody.get("/v1/mcp/jwks.json")).json()["keys"]
    assert jwt.get_unverified_header(token)["kid"] == key["kid"]
    claims = jwt.decode(
        token,
        jwt.PyJWK(key),
        algorithms=["EdDSA"],
        audience="https://tools.example",
        issuer=PUBLIC_URL,
    )
    assert (claims["sub"], claims["preferred_username"]) == (str(ada.id), ada.name)
    assert [group["id"] for group in claims["groups"]] == [group_id]
    assert claims["exp"] - claims["iat"] == 120
    assert claims["run_id"]


async def test_a_server_that_is_set_up_anew_learns_of_its_tools_from_who_has_authorized(
    product: Product, added: Added, ada: Person
):
    await added.authorize(ada.client, "ada-there")
    await added.learned()
    config = {"url": added.fake.url, "auth": {"type": "oauth"}}
    changed = await product.client.patch(added.path, json={"config": config})
    assert changed.json()["status"]["tools"] == 2
    assert changed.json()["status"]["healthy"]


async def test_who_leaves_the_group_ends_a_call_that_is_under_way(
    product: Product, added: Added, ada: Person, bob: Person
):
    group_id = await make_group(ada, bob)
    await product.client.patch(added.path, json={"groups": [group_id]})
    for person, name in ((ada, "ada-there"), (bob, "bob-there")):
        await added.authorize(person.client, name)
    await added.learned()
    added.fake.may_answer.clear()
    asking = asyncio.create_task(added.ask(bob.client))
    async with asyncio.timeout(WAIT_SECONDS):
        await added.fake.is_called.wait()
        left = await ada.client.delete(f"/v1/groups/{group_id}/members/{bob.id}")
        assert left.status_code == 204
        text = await asking
    assert "failed" in text
    added.fake.may_answer.set()
    assert "You: ada-there" in await added.ask(ada.client)
