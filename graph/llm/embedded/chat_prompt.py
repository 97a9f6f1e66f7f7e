"""Writes conversations as ChatML tokens.

Each text is tokenized by itself with control tokens switched off: a document that contains
`<|im_start|>` cannot open a turn of its own.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from graph.llm.embedded.engine import LlamaEngine

KEPT_TEXTS = 512


@dataclass(frozen=True, kw_only=True)
class PromptMessage:
    """One turn as the model reads it."""

    role: str
    """`system`, `user` or `assistant`."""
    text: str


@dataclass(frozen=True, kw_only=True)
class _Turn:
    role: str
    tokens: list[int]


class ChatPrompts:
    """Turns messages into tokens; remembers the tokens of texts that come again."""

    def __init__(self, engine: LlamaEngine) -> None:
        self._engine = engine
        self._kept: OrderedDict[tuple[str, bool], list[int]] = OrderedDict()

    async def write(
        self, messages: Sequence[PromptMessage], *, begun: str = "", limit: int
    ) -> list[int]:
        """The prompt for the next assistant turn.

        Args:
            messages: The conversation, oldest first.
            begun: The beginning of the answer, which the model continues.
            limit: How many tokens the prompt may have. The oldest messages that are not `system`
                are left out, and then the last message loses its middle.
        """
        ending = await self._special("<|im_start|>assistant\n") + await self._plain(begun)
        turns = [_Turn(role=m.role, tokens=await self._turn(m)) for m in messages]
        room = limit - len(ending)
        prompt = [token for turn in _fit(turns, room) for token in turn.tokens]
        if len(prompt) > room:
            prompt = prompt[: room // 2] + prompt[len(prompt) - (room - room // 2) :]
        return prompt + ending

    async def _turn(self, message: PromptMessage) -> list[int]:
        opening = await self._special(f"<|im_start|>{message.role}\n")
        return opening + await self._plain(message.text) + await self._special("<|im_end|>\n")

    async def _special(self, text: str) -> list[int]:
        return await self._tokens(text, special=True)

    async def _plain(self, text: str) -> list[int]:
        return await self._tokens(text, special=False) if text else []

    async def _tokens(self, text: str, *, special: bool) -> list[int]:
        key = (text, special)
        tokens = self._kept.get(key)
        if tokens is None:
            tokens = self._kept[key] = await self._engine.tokenize(text, special=special)
            if len(self._kept) > KEPT_TEXTS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return tokens


def _fit(turns: list[_Turn], room: int) -> list[_Turn]:
    """Leave out the oldest turns until the rest fits.

    Always half a room at once: were it as little as possible, every further message would move the
    beginning, and the engine would have to read the whole prompt again each time.
    """
    excess = sum(len(turn.tokens) for turn in turns) - room
    step = max(1, room // 2)
    to_drop = -(-excess // step) * step if excess > 0 else 0
    kept = []
    for turn in turns[:-1]:
        if turn.role != "system" and to_drop > 0:
            to_drop -= len(turn.tokens)
        else:
            kept.append(turn)
    return kept + turns[-1:]
