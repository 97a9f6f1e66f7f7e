"""What a suite needs at the product before the first question, and its removal afterwards."""

import mimetypes
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio

from evals.errors import TargetFailed
from evals.running.accounts import later, make_group, make_user
from evals.running.placeholders import fill_placeholders
from evals.suite.schema import (
    DocumentFixture,
    Fixtures,
    PolicyFixture,
    ServerFixture,
    ToolLimitFixture,
)
from evals.target.product import Product
from tools.session_holder import STILL_STARTING

INGEST_WAIT_SECONDS = 60
"""The longest that the product lets one request wait."""
INGEST_SECONDS = 900.0
SERVER_SECONDS = 60.0


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
        users = {
            name: await make_user(product, f"{name}-{suffix}", stack) for name in fixtures.users
        }
        groups = {
            name: await make_group(
                product, f"{name}-{suffix}", [users[each] for each in members], stack
            )
            for name, members in fixtures.groups.items()
        }
        for server in fixtures.mcp_servers:
            config = fill_placeholders(server.config, folder)
            await _server(product, server, config, groups=groups, stack=stack)
        for limit in fixtures.tool_limits:
            await _tool_limit(product, limit, stack)
        for policy in fixtures.policies:
            await _policy(product, policy, groups, stack)
        keys = {name: user["key"] for name, user in users.items()}
        for document in fixtures.documents:
            await _document(product, document, folder, keys=keys, groups=groups, stack=stack)
        yield keys


async def _server(
    product: Product,
    server: ServerFixture,
    config: Mapping[str, Any],
    *,
    groups: Mapping[str, int],
    stack: AsyncExitStack,
) -> None:
    chosen = None if server.groups is None else [groups[name] for name in server.groups]
    body = {"name": server.name, "config": config, "groups": chosen}
    added = await product.request("POST", "/v1/mcp/servers", json=body)
    later(stack, product, "DELETE", f"/v1/mcp/servers/{added['id']}")
    status = await _started(product, added)
    if not status["healthy"]:
        raise TargetFailed(f"MCP server {server.name!r} is not there: {status['error']}")


async def _started(product: Product, server: dict[str, Any]) -> dict[str, Any]:
    """Waits for a server: a command takes its time to start where others are starting as well."""
    with anyio.move_on_after(SERVER_SECONDS):
        while server["status"]["error"] == STILL_STARTING:
            await anyio.sleep(1)
            server = await product.request("GET", f"/v1/mcp/servers/{server['id']}")
    status: dict[str, Any] = server["status"]
    return status


async def _tool_limit(product: Product, limit: ToolLimitFixture, stack: AsyncExitStack) -> None:
    added = await product.request("POST", "/v1/tool-limits", json=limit.model_dump())
    later(stack, product, "DELETE", f"/v1/tool-limits/{added['id']}")


async def _policy(
    product: Product, policy: PolicyFixture, groups: Mapping[str, int], stack: AsyncExitStack
) -> None:
    body = policy.model_dump(exclude={"group"})
    if policy.group is not None:
        body["group_id"] = groups[policy.group]
    added = await product.request("POST", "/v1/tool-policies", json=body)
    later(stack, product, "DELETE", f"/v1/tool-policies/{added['id']}")


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
    for each in run["files"]:  # before it may end here: some may have been taken
        if each.get("document_id") is not None:
            later(stack, product, "DELETE", f"/v1/documents/{each['document_id']}", key=key)
    if not run["success"]:
        told = "; ".join(f"{each['path']}: {each['message']}" for each in run["errors"])
        raise TargetFailed(f"document {document.path!r} was not taken: {told}")


async def _ended(product: Product, run_id: str, key: str | None) -> dict[str, Any]:
    with anyio.move_on_after(INGEST_SECONDS):
        while True:
            run: dict[str, Any] = await product.request("GET", f"/v1/ingest/runs/{run_id}", key=key)
            if run["finished_at"] is not None:
                return run
            await anyio.sleep(1)
    raise TargetFailed(f"a document was not searchable within {INGEST_SECONDS:.0f} seconds.")
