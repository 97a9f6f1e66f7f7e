"""Users with a client each, and the groups that they make, over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import httpx

from tests.fixtures.product import Product, client_for


@dataclass(frozen=True, kw_only=True)
class Person:
    """A user with a client of their own."""

    id: int
    name: str
    client: httpx.AsyncClient


@asynccontextmanager
async def open_person(product: Product, name: str) -> AsyncIterator[Person]:
    """Makes a user whose name begins like this; closes the client in the end."""
    name = f"{name}-{uuid4().hex[:8]}"
    made = (await product.client.post("/v1/users", json={"username": name})).json()
    keys = f"/v1/users/{made['id']}/api-keys"
    issued = (await product.client.post(keys, json={"name": "t"})).json()
    async with client_for(product.url, issued["key"]) as client:
        yield Person(id=made["id"], name=name, client=client)


def new_group_name() -> str:
    return f"Crew {uuid4().hex}"


async def make_group(admin: Person, *members: Person, name: str | None = None) -> int:
    """Makes a group with plain members."""
    answer = await admin.client.post("/v1/groups", json={"name": name or new_group_name()})
    assert answer.status_code == 201, answer.text
    group_id: int = answer.json()["id"]
    for member in members:
        body = {"user_id": member.id, "role": "member"}
        taken_in = await admin.client.post(f"/v1/groups/{group_id}/members", json=body)
        assert taken_in.status_code == 201, taken_in.text
    return group_id


def told(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of an error answer."""
    return answer.status_code, answer.json()["error"]["code"]
