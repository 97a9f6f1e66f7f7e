"""An MCP server over HTTP whose prompts the test makes, and which it has hang and fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp import McpError, types

from tests.fakes.mutable_mcp_server import MutableServer


def prompt(name: str, *arguments: str, **values: object) -> types.Prompt:
    """A prompt that needs these arguments."""
    given = [types.PromptArgument(name=each, required=True) for each in arguments]
    return types.Prompt.model_validate({"name": name, "arguments": given, **values})


def say(text: str) -> types.GetPromptResult:
    """A prompt of one message."""
    content = types.TextContent(type="text", text=text)
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=content)])


class PromptingServer(MutableServer):
    """Its prompts say their names and arguments, unless the test has set something else."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts: list[types.Prompt] = [prompt("greet", "name"), prompt("close")]
        self.result: types.GetPromptResult | None = None
        """What is given for every prompt."""
        self.error: types.ErrorData | None = None
        self.list_error: types.ErrorData | None = None
        self.lists = 0
        """How often the prompts were listed."""
        self.sessions_given: list[int] = []
        """Over which session each prompt was given."""
        self.is_asked = asyncio.Event()
        self.may_list = asyncio.Event()
        self.may_list.set()
        self.may_give = asyncio.Event()
        self.may_give.set()
        self._server.list_prompts()(self._list_prompts)
        self._server.get_prompt()(self._give)

    async def tell_of_prompts(self) -> None:
        """Say to every client that the prompts are others now."""
        for session in self._sessions.values():
            await session.send_prompt_list_changed()

    async def _list_prompts(self) -> list[types.Prompt]:
        self.lists += 1
        self.is_asked.set()
        await self.may_list.wait()
        if self.list_error is not None:
            raise McpError(self.list_error)
        return self.prompts

    async def _give(self, name: str, arguments: dict[str, str] | None) -> types.GetPromptResult:
        self.sessions_given.append(id(self._server.request_context.session))
        self.is_asked.set()
        await self.may_give.wait()
        if self.error is not None:
            raise McpError(self.error)
        return self.result or say(f"{name}: {sorted((arguments or {}).items())}")


@asynccontextmanager
async def open_prompting_server() -> AsyncIterator[PromptingServer]:
    server, ready, stop = PromptingServer(), asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(server.serve(ready, stop))
    await ready.wait()
    try:
        yield server
    finally:
        server.may_list.set()
        server.may_give.set()
        stop.set()
        await serving
