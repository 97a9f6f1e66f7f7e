"""What a suite needs at the product before the first question, and its removal afterwards."""

import mimetypes
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio

from evals.errors import TargetFailed
from evals.suite.schema import DocumentFixture, Fixtures, ServerFixture
from evals.target.product import Product

INGEST_WAIT_SECONDS = 60
"""The longest that the product lets one request wait."""
INGEST_SECONDS = 900.0
CLEAN_UP_SECONDS = 60.0


@asynccontextmanager
async def made(
    product: Product, fixtures: Fixtures, folder: Path
) -> AsyncIterator[Mapping[str, str]]:
    """Makes everything, yields each user's key, and takes everything away again.

    Names get a suffix of their own, so that suites do not meet at one product.

    Raises:
        TargetFailed: The product refused something.
    """
    suffix = uuid4().hex[:8]
    async with AsyncExitStack() as stack:
        users = {name: await _user(product, f"{name}-{suffix}", stack) for name in fixtures.users}
        groups = {
            name: await _group(
                product, f"{name}-{suffix}", [users[each] for each in members], stack
            )
            for name, members in fixtures.groups.items()
        }
        for server in fixtures.mcp_servers:
            await _server(product, server, groups, stack)
        keys = {name: user["key"] for name, user in users.items()}
        for document in fixtures.documents:
            await _document(product, document, folder, keys=keys, groups=groups, stack=stack)
        yield keys


async def _user(product: Product, name: str, stack: AsyncExitStack) -> dict[str, Any]:
    user = await product.request("POST", "/v1/users", json={"username": name})
    path = f"/v1/users/{user['id']}"
    _later(stack, product, "PATCH", path, json={"is_active": False})
    issued = await product.request("POST", f"{path}/api-keys", json={"name": "evals"})
    return {"id": user["id"], "key": issued["key"]}


async def _group(
    product: Product, name: str, members: Sequence[Mapping[str, Any]], stack: AsyncExitStack
) -> int:
    """The first member makes it, and so is its admin."""
    key = members[0]["key"] if members else None
    group = await product.request("POST", "/v1/groups", key=key, json={"name": name})
    path = f"/v1/groups/{group['id']}"
    _later(stack, product, "DELETE", path, key=key)
    for member in members[1:]:
        await product.request("POST", f"{path}/members", key=key, json={"user_id": member["id"]})
    return int(group["id"])


async def _server(
    product: Product, server: ServerFixture, groups: Mapping[str, int], stack: AsyncExitStack
) -> None:
    chosen = None if server.groups is None else [groups[name] for name in server.groups]
    body = {"name": server.name, "config": server.config, "groups": chosen}
    added = await product.request("POST", "/v1/mcp/servers", json=body)
    _later(stack, product, "DELETE", f"/v1/mcp/servers/{added['id']}")
    if not added["status"]["healthy"]:
        raise TargetFailed(f"MCP server {server.name!r} is not there: {added['status']['error']}")


async def _document(
    product: Product,
    document: DocumentFixture,
    folder: Path,
    *,
    keys: Mapping[str, str],
    groups: Mapping[str, int],
    stack: AsyncExitStack,
) -> None:
    path = folder / document.path
    key = keys[document.owner] if document.owner else None
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    fields = {"tags": ",".join(document.tags)} if document.tags else {}
    if document.group is not None:
        fields["group_id"] = str(groups[document.group])
    run = await product.request(
        "POST",
        "/v1/ingest/upload",
        key=key,
        files={"files": (path.name, path.read_bytes(), kind)},
        data=fields,
        headers={"Prefer": f"wait={INGEST_WAIT_SECONDS}"},
    )
    run = await _ended(product, run["run_id"], key)
    if not run["success"]:
        told = "; ".join(f"{each['path']}: {each['message']}" for each in run["errors"])
        raise TargetFailed(f"document {document.path!r} was not taken: {told}")
    for each in run["files"]:
        _later(stack, product, "DELETE", f"/v1/documents/{each['document_id']}", key=key)


async def _ended(product: Product, run_id: str, key: str | None) -> dict[str, Any]:
    with anyio.move_on_after(INGEST_SECONDS):
        while True:
            run: dict[str, Any] = await product.request("GET", f"/v1/ingest/runs/{run_id}", key=key)
            if run["finished_at"] is not None:
                return run
            await anyio.sleep(1)
    raise TargetFailed(f"a document was not searchable within {INGEST_SECONDS:.0f} seconds.")


def _later(stack: AsyncExitStack, product: Product, method: str, path: str, **options: Any) -> None:
    """Takes back at the end what was made; what cannot be taken back harms no figure."""

    async def take_back() -> None:
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLEAN_UP_SECONDS):
            try:
                await product.request(method, path, **options)
            except TargetFailed:
                return

    stack.push_async_callback(take_back)
