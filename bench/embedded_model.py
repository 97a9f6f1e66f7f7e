"""What the embedded model does on this machine: speed, memory, and how long an answer takes.

    python -m bench.embedded_model [--model qwen2.5-coder:1.5b]

Whole answers go through the agent with the built-in tools, as the product gives them. There is no
floor to compare with: the figures say what to expect on this machine, no more.
"""

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass
from uuid import uuid4

import psutil

from graph.agent import Agent, build_agent
from graph.context import AgentContext
from graph.events import AgentEvent, Token, ToolCall
from graph.llm.chat_model import open_chat_models, open_model_address
from graph.running import Question, run_agent
from graph.settings import AgentSettings, ChatModelSettings
from tools.catalog import open_catalog
from tools.settings import McpSettings

QUESTIONS = {
    "time": ("What time is it in Tokyo?", "What is the time in Rome?", "Time in New York now?"),
    "convert": ("Convert 42 km to miles", "How many pounds are 7 kg?", "What is 20 C in F?"),
    "greeting": ("Hello, how are you?", "Good morning!", "Hi, who are you?"),
}
"""Each is asked once, so that no answer comes out of the prompt cache of the one before."""
LONG = "Write three paragraphs about the sea."


@dataclass(frozen=True, kw_only=True)
class Answer:
    first_seconds: float
    total_seconds: float
    tools: int
    tokens: int


async def ask(agent: Agent, text: str, *, with_tools: bool = True) -> Answer:
    started = time.perf_counter()
    first: list[float] = []
    tools = 0

    def hear(event: AgentEvent) -> None:
        nonlocal tools
        if isinstance(event, Token) and not first:
            first.append(time.perf_counter() - started)
        tools += isinstance(event, ToolCall) and event.status == "start"

    finished = await run_agent(
        agent,
        Question(content=text, message_id=str(uuid4())),
        thread_id=str(uuid4()),
        run_id=str(uuid4()),
        context=AgentContext(tools_enabled=with_tools),
        tell=hear,
    )
    return Answer(
        first_seconds=first[0],
        total_seconds=time.perf_counter() - started,
        tools=tools,
        tokens=finished.tokens_out,
    )


async def measure(model: str) -> None:
    started = time.perf_counter()
    async with (
        open_model_address(ChatModelSettings(chat_model=model)) as served,
        open_chat_models(served) as models,
        open_catalog(McpSettings()) as catalog,
    ):
        print(f"{model}: started in {time.perf_counter() - started:.1f} s (weights fetched if new)")
        agent = build_agent(models.default, catalog.tools(), settings=AgentSettings())
        for name, questions in QUESTIONS.items():
            answers = [await ask(agent, question) for question in questions]
            first = statistics.median(answer.first_seconds for answer in answers)
            total = statistics.median(answer.total_seconds for answer in answers)
            tools = sum(answer.tools for answer in answers)
            print(f"  {name:9} first token {first:.1f} s, whole {total:.1f} s, {tools} tool calls")
        long = await ask(agent, LONG, with_tools=False)
        speed = long.tokens / (long.total_seconds - long.first_seconds)
        print(f"  generation {speed:.1f} tokens a second")
        child = next(
            process
            for process in psutil.Process().children(recursive=True)
            if "graph.llm.embedded" in " ".join(process.cmdline())
        )
        print(f"  memory of its process {child.memory_info().rss / 2**30:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="qwen2.5-coder:0.5b")
    asyncio.run(measure(parser.parse_args().model))


if __name__ == "__main__":
    main()
