"""Puts the child together: engines, router, HTTP. Child process only."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from graph.llm.embedded.api import build_app
from graph.llm.embedded.arguments import ArgumentReader
from graph.llm.embedded.chat import Chat
from graph.llm.embedded.chat_prompt import ChatPrompts
from graph.llm.embedded.embedder import MiniLm
from graph.llm.embedded.engine import RESPONSE_TIMEOUT_SECONDS, LlamaEngine, start_llama
from graph.llm.embedded.model_cards import ModelCards
from graph.llm.embedded.orders import Orders
from graph.llm.embedded.router import Router
from graph.llm.embedded.tool_choice import ToolChooser

CONNECT_TIMEOUT_SECONDS = 5.0
SHUTDOWN_TIMEOUT_SECONDS = 0.5


@asynccontextmanager
async def open_app(orders: Orders, listener: socket.socket) -> AsyncIterator[None]:
    """Load the models and answer requests on the socket."""
    address, (model, chooser) = await asyncio.gather(
        asyncio.to_thread(
            start_llama,
            orders.chat_file,
            context_tokens=orders.context_tokens,
            threads=orders.threads,
        ),
        asyncio.to_thread(_load_embedder, orders),
    )
    timeout = aiohttp.ClientTimeout(
        total=None, connect=CONNECT_TIMEOUT_SECONDS, sock_read=RESPONSE_TIMEOUT_SECONDS
    )
    async with aiohttp.ClientSession(
        base_url=address.url,
        # llama.cpp closes kept connections without a word, sometimes under a new request.
        connector=aiohttp.TCPConnector(force_close=True),
        headers={"Authorization": f"Bearer {address.key}"},
        timeout=timeout,
    ) as http:
        engine = LlamaEngine(http, context_tokens=orders.context_tokens)
        prompts = ChatPrompts(engine)
        reader = ArgumentReader(engine, prompts)
        chat = Chat(engine, prompts, Router(chooser, reader), model)
        app = build_app(chat, model, ModelCards(orders), api_key=orders.api_key)
        runner = web.AppRunner(
            app,
            access_log=None,
            # Closing the connection is how a client stops a generation.
            handler_cancellation=True,
            shutdown_timeout=SHUTDOWN_TIMEOUT_SECONDS,
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            warming = asyncio.create_task(chat.warm_up(), name="warm-up")
            yield
            warming.cancel()
        finally:
            await runner.cleanup()


def _load_embedder(orders: Orders) -> tuple[MiniLm, ToolChooser]:
    threads = orders.threads or max(1, (os.cpu_count() or 1) - 1)
    model = MiniLm(Path(orders.embedding_file), Path(orders.tokenizer_file), threads=threads)
    return model, ToolChooser(model)
