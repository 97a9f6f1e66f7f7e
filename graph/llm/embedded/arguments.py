"""Reads the arguments of a tool out of a message with the language model.

The JSON around the values is given to the model, so it only writes values, each held to a grammar
made from its schema. Numbers and short texts are chosen among those that stand in the message: a
small model copies better than it invents.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graph.llm.embedded.argument_prompt import begin_answer, write_preamble, write_question
from graph.llm.embedded.argument_rules import copy_value, is_asked, stands_in
from graph.llm.embedded.chat_prompt import ChatPrompts
from graph.llm.embedded.engine import ARGUMENT_SLOT, Completion, LlamaEngine
from graph.llm.embedded.message_spans import find_spans
from graph.llm.embedded.numbers_in_text import find_numbers
from graph.llm.embedded.tool_schema import Tool, ToolParameter
from graph.llm.embedded.value_grammar import grammar_for
from graph.llm.embedded.zone_names import is_zone_parameter, zones_for

VALUE_MAX_TOKENS = 100

_FORMATS = frozenset({"format", "pattern"})


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The arguments that a message gives a tool."""

    values: dict[str, Any]
    grounded: bool
    """Whether every value that must come from the message really stands in it."""
    prompt_tokens: int
    tokens: int


class ArgumentReader:
    """Fills in arguments."""

    def __init__(self, engine: LlamaEngine, prompts: ChatPrompts) -> None:
        self._engine = engine
        self._prompts = prompts

    async def warm_up(self) -> None:
        """Have the engine read the unchanging beginning of the prompts."""
        prompt = await self._prompts.write(write_preamble(), limit=self._engine.context_tokens)
        await self._engine.complete(prompt, slot=ARGUMENT_SLOT, options={"n_predict": 1})

    async def read(self, tool: Tool, message: str) -> Reading:
        """Read the tool's arguments; optional ones that the message does not name are left out."""
        asked = [parameter for parameter in tool.parameters if is_asked(parameter, message)]
        values: dict[str, Any] = {}
        grounded, prompt_tokens, tokens = True, 0, 0
        for parameter in asked:
            value = copy_value(parameter, message, asked)
            if value is None:
                begun = begin_answer(values, parameter)
                prompt = await self._write_prompt(tool, asked, message, begun=begun)
                done = await self._generate(prompt, parameter, message)
                prompt_tokens, tokens = done.finish.prompt_tokens, tokens + done.finish.tokens
                value = _parse(done.text)
            stands = stands_in(value, message, parameter)
            if stands or parameter.required:
                values[parameter.name] = value
                grounded = grounded and stands
        return Reading(values=values, grounded=grounded, prompt_tokens=prompt_tokens, tokens=tokens)

    async def _write_prompt(
        self, tool: Tool, asked: Sequence[ToolParameter], message: str, *, begun: str
    ) -> list[int]:
        return await self._prompts.write(
            [*write_preamble(), write_question(tool, asked, message)],
            begun=begun,
            limit=self._engine.context_tokens - VALUE_MAX_TOKENS,
        )

    async def _generate(
        self, prompt: list[int], parameter: ToolParameter, message: str
    ) -> Completion:
        limits = {"temperature": 0, "n_predict": VALUE_MAX_TOKENS}
        options = limits | _constrain(parameter, message)
        return await self._engine.complete(prompt, slot=ARGUMENT_SLOT, options=options)


def _constrain(parameter: ToolParameter, message: str) -> dict[str, Any]:
    choices = parameter.schema.get("enum")
    if choices is None and is_zone_parameter(parameter):
        choices = zones_for(message)
    if choices is None and parameter.kind in ("number", "integer"):
        choices = [json.loads(number) for number in find_numbers(message)]
    # An optional text is written freely: one that does not stand in the message is then dropped.
    free = not parameter.required or _FORMATS & parameter.schema.keys()
    if choices is None and parameter.kind == "string" and not free:
        choices = find_spans(message)
    grammar = grammar_for(parameter.kind, choices)
    return {"json_schema": dict(parameter.schema)} if grammar is None else {"grammar": grammar}


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        # Cut off at the limit of tokens.
        return text.strip().strip('"')
