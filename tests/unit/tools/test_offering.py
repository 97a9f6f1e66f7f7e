import asyncio
import warnings

from mcp.shared.memory import create_connected_server_and_client_session

from tests.unit.tools.conftest import text_of
from tools.servers.offering import Answer, Offer, Request, build_server


async def test_calls_that_overlap_leave_the_warnings_of_the_process_alone() -> None:
    """The SDK's own server swaps them for each request."""
    gates = {"first": asyncio.Event(), "second": asyncio.Event()}
    arrived = {"first": asyncio.Event(), "second": asyncio.Event()}

    def waits(name: str) -> Offer:
        async def run(_: Request) -> Answer:
            arrived[name].set()
            await gates[name].wait()
            return Answer(text=name)

        return Offer(name=name, description="Wait.", parameters={}, run=run)

    before = (warnings.filters, warnings.showwarning)
    server = build_server("s", [waits("first"), waits("second")])
    async with create_connected_server_and_client_session(server) as session:
        first = asyncio.create_task(session.call_tool("first"))
        await arrived["first"].wait()
        second = asyncio.create_task(session.call_tool("second"))
        await arrived["second"].wait()
        gates["first"].set()
        assert text_of(await first) == "first"
        gates["second"].set()
        assert text_of(await second) == "second"

    assert (warnings.filters, warnings.showwarning) == before
    assert warnings.filters is before[0]
