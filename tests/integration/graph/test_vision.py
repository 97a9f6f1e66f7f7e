"""Which models take images: asked once, unless the settings say it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from graph.errors import ModelError, ModelUnavailable
from graph.llm.chat_model import open_chat_models
from graph.llm.vision import VisionModels
from graph.settings import ChatModelSettings
from tests.fakes.ollama_server import ScriptedOllama


@asynccontextmanager
async def vision_of(fake: ScriptedOllama, **settings: object) -> AsyncIterator[VisionModels]:
    known = ChatModelSettings.model_validate(
        {"ollama_base_url": fake.base_url, "chat_model": "seeing", **settings}
    )
    async with open_chat_models(known) as models:
        yield VisionModels(models, declared=known.vision_models)


@pytest.mark.parametrize("can", [True, False])
async def test_ollama_is_asked_once_for_a_model(can):
    async with ScriptedOllama() as fake:
        fake.capabilities = ["completion", *(["vision"] if can else [])]
        async with vision_of(fake) as vision:
            assert await vision.takes_images("seeing") is can
            assert await vision.takes_images("seeing") is can
            assert [request.body for request in fake.show_requests] == [{"model": "seeing"}]


async def test_a_server_that_does_not_tell_is_asked_again():
    async with ScriptedOllama() as fake:
        fake.capabilities = None
        async with vision_of(fake) as vision:
            assert await vision.takes_images("seeing") is None
            fake.capabilities = ["vision"]
            assert await vision.takes_images("seeing") is True


async def test_the_settings_are_believed_without_asking():
    async with ScriptedOllama() as fake:
        openai = {"openai_base_url": fake.base_url, "vision_models": ("openai:see", "seeing")}
        allowed = ("openai:see", "openai:blind")
        async with vision_of(fake, allowed_models=allowed, **openai) as vision:
            assert await vision.takes_images("seeing")
            assert await vision.takes_images("openai:see")
            assert await vision.takes_images("openai:blind") is None
            assert fake.show_requests == []


async def test_models_that_can_are_listed_without_those_that_cannot_be_asked():
    async with ScriptedOllama(models=("seeing",)) as fake:
        fake.capabilities = ["vision"]
        async with vision_of(fake, allowed_models=("unknown",)) as vision:
            with pytest.raises(ModelError):
                await vision.takes_images("unknown")
            assert await vision.list_able() == ["seeing"]


async def test_a_server_that_is_away_is_an_error():
    async with ScriptedOllama() as fake, vision_of(fake) as vision:
        await fake.stop()
        with pytest.raises(ModelUnavailable):
            await vision.takes_images("seeing")
