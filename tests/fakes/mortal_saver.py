"""A checkpointer whose process can die."""

import asyncio
from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver


class MortalSaver(InMemorySaver):
    """Keeps checkpoints in memory until it is dead; then it keeps what it has.

    Cancelling a run lets LangGraph store what is on its way; a process that is killed does not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_dead = False
        self.may_store = asyncio.Event()
        """While it is not set, nothing gets stored."""
        self.may_store.set()
        self.is_asked = asyncio.Event()
        """Set when something was to be stored that may not be."""

    async def aput(self, config: RunnableConfig, *args: Any) -> RunnableConfig:
        await self._until_storing()
        if self.is_dead:
            return config
        return await super().aput(config, *args)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        await self._until_storing()
        if not self.is_dead:
            await super().aput_writes(config, writes, task_id, task_path)

    async def _until_storing(self) -> None:
        if not self.may_store.is_set():
            self.is_asked.set()
            await self.may_store.wait()
