"""Tokens that tell one server who is asking."""

from typing import Any

import jwt
import pytest

from persistence.access import AccessScope
from persistence.account_records import User
from persistence.database import Database
from persistence.errors import DatabaseUnavailable
from server.security.identity_tokens import IdentityTokens
from server.security.principal import Principal
from tests.fixtures.rows import create_user
from tools.errors import IdentityUnproven

SECRET = "a secret for tests 0123456789 abcdef"
AUDIENCE = "https://tools.example"
ISSUER = "https://ai.example.org"
NOW = 1_000_000.0


def tokens(database: Database, secret: str = SECRET, issuer: str = ISSUER) -> IdentityTokens:
    return IdentityTokens(secret, database, issuer=issuer, clock=lambda: NOW)


def principal(user: User) -> Principal:
    return Principal(user=user, scope=AccessScope(user_id=user.id))


def read(token: str, key: dict[str, Any], *, audience: str = AUDIENCE) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        jwt.PyJWK(key),
        algorithms=["EdDSA"],
        audience=audience,
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False},
    )
    return claims


async def test_a_token_says_who_is_asking_for_two_minutes(database: Database):
    user = await create_user(database, "ada")
    async with database.unit_of_work(AccessScope(user_id=user.id)) as uow:
        group = await uow.groups.create("Crew", "")
        await uow.commit()
    signer = tokens(database)
    prove = signer.for_run(principal(user), "run-1")
    claims, again = [
        read(await prove(AUDIENCE), key) for key in signer.public_keys() for _ in range(2)
    ]
    assert claims.pop("jti") != again["jti"]
    assert claims == {
        "iss": ISSUER,
        "sub": str(user.id),
        "preferred_username": "ada",
        "groups": [{"id": group.id, "name": "Crew"}],
        "run_id": "run-1",
        "aud": AUDIENCE,
        "iat": int(NOW),
        "exp": int(NOW) + 120,
    }


async def test_whoever_has_left_a_group_is_not_in_it_any_more(database: Database):
    user = await create_user(database)
    scope = AccessScope(user_id=user.id)
    async with database.unit_of_work(scope) as uow:
        group = await uow.groups.create("Crew", "")
        await uow.commit()
    signer = tokens(database)
    [key] = signer.public_keys()
    prove = signer.for_run(principal(user), "run-1")
    assert len(read(await prove(AUDIENCE), key)["groups"]) == 1
    async with database.unit_of_work(scope) as uow:
        await uow.groups.delete(group.id)
        await uow.commit()
    assert read(await prove(AUDIENCE), key)["groups"] == []


async def test_a_token_for_one_server_is_worth_nothing_at_another(database: Database):
    user = await create_user(database)
    signer = tokens(database)
    [key] = signer.public_keys()
    token = await signer.for_run(principal(user), "run-1")(AUDIENCE)
    with pytest.raises(jwt.InvalidAudienceError):
        read(token, key, audience="https://other.example")


async def test_another_secret_is_another_key_and_the_same_one_the_same(database: Database):
    user = await create_user(database)
    [key] = tokens(database).public_keys()
    assert tokens(database).public_keys() == [key]
    other = tokens(database, "another secret 0123456789 abcdefghij")
    assert other.public_keys()[0]["kid"] != key["kid"]
    with pytest.raises(jwt.InvalidSignatureError):
        read(await other.for_run(principal(user), "r")(AUDIENCE), key)


async def test_what_is_published_is_public(database: Database):
    [key] = tokens(database).public_keys()
    assert key.keys() == {"crv", "kty", "x", "kid", "use", "alg"}
    assert SECRET not in str(key)


async def test_without_the_database_nothing_is_proven(database: Database):
    user = await create_user(database)
    prove = tokens(_Broken()).for_run(principal(user), "run-1")  # type: ignore[arg-type]
    with pytest.raises(IdentityUnproven):
        await prove(AUDIENCE)


class _Broken:
    def unit_of_work(self, scope: AccessScope) -> object:
        raise DatabaseUnavailable("gone")
