"""Users and groups that an eval makes at the product, and how what it made is taken back."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import anyio

from evals.errors import TargetFailed
from evals.target.product import Product

CLEAN_UP_SECONDS = 60.0


async def make_user(product: Product, name: str, stack: AsyncExitStack) -> dict[str, Any]:
    """Who has an id and a key, until the stack ends.

    Raises:
        TargetFailed: The product refused.
    """
    user = await product.request("POST", "/v1/users", json={"username": name})
    path = f"/v1/users/{user['id']}"
    later(stack, product, "PATCH", path, json={"is_active": False})
    issued = await product.request("POST", f"{path}/api-keys", json={"name": "evals"})
    # Sessions and all go with the account; locked out is who cannot be erased.
    account = {"confirm": user["username"]}
    later(stack, product, "DELETE", "/v1/account", key=issued["key"], json=account)
    return {"id": user["id"], "key": issued["key"]}


async def make_group(
    product: Product, name: str, members: Sequence[Mapping[str, Any]], stack: AsyncExitStack
) -> int:
    """The id of a group; the first member makes it, and so is its admin.

    Raises:
        TargetFailed: The product refused.
    """
    key = members[0]["key"] if members else None
    group = await product.request("POST", "/v1/groups", key=key, json={"name": name})
    path = f"/v1/groups/{group['id']}"
    later(stack, product, "DELETE", path, key=key)
    for member in members[1:]:
        await product.request("POST", f"{path}/members", key=key, json={"user_id": member["id"]})
    return int(group["id"])


def later(stack: AsyncExitStack, product: Product, method: str, path: str, **options: Any) -> None:
    """Takes back at the end what was made; what cannot be taken back harms no figure."""

    async def take_back() -> None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLEAN_UP_SECONDS):
            try:
                await product.request(method, path, **options)
            except TargetFailed:
                return

    stack.push_async_callback(take_back)
