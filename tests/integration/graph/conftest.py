from collections.abc import AsyncIterator

import pytest
from langchain_core.language_models import BaseChatModel

from graph.llm.chat_model import open_chat_model
from graph.settings import ChatModelSettings
from tests.fakes.ollama_server import ScriptedOllama


@pytest.fixture
async def fake() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama() as server:
        yield server


@pytest.fixture
async def model(fake: ScriptedOllama) -> AsyncIterator[BaseChatModel]:
    settings = ChatModelSettings(ollama_base_url=fake.base_url)
    async with open_chat_model("scripted", settings) as opened:
        yield opened
