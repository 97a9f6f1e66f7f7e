"""Lends each sample that brings functions a user who has these tools and no others.

The product holds a server for a sample only while the sample is asked: however many samples there
are, it holds as many as are asked at a time. Users are made once for a suite and lent again.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from typing_extensions import override

from evals.errors import TargetFailed
from evals.running.accounts import later, make_group, make_user
from evals.running.function_host import FunctionHost, open_function_host
from evals.suite.functions import FunctionSpec
from evals.suite.schema import SampleSpec
from evals.target.answer import Answer, CalledTool, Question
from evals.target.opening import Target
from evals.target.product import Product
from server.cli.connection import Connection
from tools.names import qualify

NAME_TAKEN = "SERVER_NAME_EXISTS"
HERE = "127.0.0.1"
PAGE = 100
REASON = "This user is there to be asked about other tools."


@dataclass(frozen=True, kw_only=True)
class Borrower:
    """A user who is lent to one sample at a time, alone in a group."""

    key: str = field(repr=False)
    group_id: int


class LentProduct(Product):
    """The product as a borrower asks it; calls are named as the sample names its functions."""

    def __init__(self, url: str, borrower: Borrower, *, server: str) -> None:
        super().__init__(Connection(url=url, key=borrower.key), concurrency=1)
        self._server = server

    @override
    async def ask(self, question: Question, *, key: str | None = None) -> Answer:
        answer = await super().ask(question, key=key)
        return replace(answer, calls=tuple(map(self._named, answer.calls)))

    def _named(self, call: CalledTool) -> CalledTool:
        server, _, name = call.name.partition(".")
        return replace(call, name=name) if server == self._server else call


def name_for(sample: str) -> str:
    """What the server of a sample is called: the same in every run, since models read it."""
    return f"fn-{hashlib.sha256(sample.encode()).hexdigest()[:8]}"


class FunctionDesk:
    """Lends users."""

    def __init__(self, product: Product, host: FunctionHost, stack: AsyncExitStack) -> None:
        """Args: stack: ends with the suite, and takes back what was made for it."""
        self._product = product
        self._host = host
        self._stack = stack
        self._free: list[Borrower] = []
        self._suffix = uuid4().hex[:8]
        self._made = 0

    @asynccontextmanager
    async def lend(
        self, sample: str, functions: Sequence[FunctionSpec]
    ) -> AsyncIterator[LentProduct]:
        """The product with these tools and no others, until the block ends.

        Raises:
            TargetFailed: The product does not offer exactly these to the user.
        """
        borrower = self._free.pop() if self._free else await self._new()
        try:
            async with AsyncExitStack() as stack:
                url = stack.enter_context(self._host.offering(functions))
                server = await self._add_server(sample, url, borrower, stack)
                lent = LentProduct(self._product.url, borrower, server=server)
                stack.callback(lent.close)
                await self._require_offered(
                    lent, {qualify(server, each.name) for each in functions}
                )
                yield lent
        finally:
            self._free.append(borrower)

    async def _new(self) -> Borrower:
        """A user to whom the tools that there are for everybody are denied."""
        self._made += 1
        name = f"functions-{self._made}-{self._suffix}"
        user = await make_user(self._product, name, self._stack)
        group_id = await make_group(self._product, name, [user], self._stack)
        for server in sorted({each["server"] for each in await _tools(self._product, user["key"])}):
            rule = {"group_id": group_id, "tool": f"{server}.*", "verdict": "deny"}
            made = await self._product.request(
                "POST", "/v1/tool-policies", json=rule | {"reason": REASON}
            )
            later(self._stack, self._product, "DELETE", f"/v1/tool-policies/{made['id']}")
        return Borrower(key=user["key"], group_id=group_id)

    async def _add_server(
        self, sample: str, url: str, borrower: Borrower, stack: AsyncExitStack
    ) -> str:
        """Returns its name."""
        name = name_for(sample)
        body = {"config": {"url": url, "trustAnnotations": True}, "groups": [borrower.group_id]}
        try:
            added = await self._post_server(body | {"name": name})
        except TargetFailed as exc:
            if exc.code != NAME_TAKEN:
                raise
            # By another epoch of the sample that is asked at once, or by somebody else's run.
            name = f"{name}-{uuid4().hex[:8]}"
            added = await self._post_server(body | {"name": name})
        later(stack, self._product, "DELETE", f"/v1/mcp/servers/{added['id']}")
        if not added["status"]["healthy"]:
            raise TargetFailed(
                f"the product does not reach its functions: {added['status']['error']}"
            )
        return name

    async def _post_server(self, body: dict[str, Any]) -> dict[str, Any]:
        added: dict[str, Any] = await self._product.request("POST", "/v1/mcp/servers", json=body)
        return added

    async def _require_offered(self, lent: Product, wanted: set[str]) -> None:
        offered = {each["name"] for each in await _tools(lent) if each["policy"] != "deny"}
        if offered != wanted:
            told = [f"lacks {sorted(wanted - offered)}"] if wanted - offered else []
            told += [f"has {sorted(offered - wanted)} besides"] if offered - wanted else []
            raise TargetFailed(f"a user with functions of its own {' and '.join(told)}.")


@asynccontextmanager
async def open_desk_for(
    samples: Sequence[SampleSpec], product: Product, target: Target
) -> AsyncIterator[FunctionDesk | None]:
    """Hosts functions where the product can reach them; None where no sample brings any.

    Raises:
        TargetFailed: The product could not reach them.
    """
    if not any(each.functions for each in samples):
        yield None
        return
    if target.tools_host is None and not target.is_here:
        raise TargetFailed(
            "samples bring functions, which are served on this machine: give --tools-host, an "
            f"address of it that {target.url} can reach."
        )
    async with open_function_host(target.tools_host or HERE) as host, AsyncExitStack() as stack:
        yield FunctionDesk(product, host, stack)


async def _tools(product: Product, key: str | None = None) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = []
    while True:
        page = await product.request(
            "GET", "/v1/tools", key=key, params={"limit": PAGE, "offset": len(tools)}
        )
        tools += page["tools"]
        if not page["tools"] or len(tools) >= page["total"]:
            return tools
