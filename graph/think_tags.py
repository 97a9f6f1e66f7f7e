"""Tells reasoning that models write between `<think>` tags from the answer that follows it."""

from dataclasses import dataclass

_OPEN, _CLOSE = "<think>", "</think>"


@dataclass(frozen=True, kw_only=True, slots=True)
class PartedText:
    """One piece of a model's text, told apart."""

    answer: str = ""
    reasoning: str = ""


class ThinkTags:
    """Reads a text piece by piece; a tag may be cut anywhere between two pieces.

    Only tags that open the text count: an answer may speak of `<think>` later on.
    """

    def __init__(self) -> None:
        self._read = self._read_start
        self._unread = ""
        """What may be the beginning of a tag."""

    def feed(self, text: str) -> PartedText:
        """Part the next piece."""
        return self._read(self._unread + text)

    def flush(self) -> PartedText:
        """What was waiting for the rest of a tag that never came."""
        rest, self._unread = self._unread, ""
        if self._read == self._read_reasoning:
            return PartedText(reasoning=rest)
        return PartedText(answer=rest)

    def _read_start(self, text: str) -> PartedText:
        begun = text.lstrip()
        if _OPEN.startswith(begun):
            self._unread = text
            return PartedText()
        self._unread = ""
        if begun.startswith(_OPEN):
            self._read = self._read_reasoning
            return self._read_reasoning(begun[len(_OPEN) :])
        self._read = self._read_answer
        return PartedText(answer=text)

    def _read_reasoning(self, text: str) -> PartedText:
        reasoning, closed, answer = text.partition(_CLOSE)
        if closed:
            self._unread = ""
            self._read = self._read_answer
            return PartedText(answer=answer, reasoning=reasoning)
        split = len(text) - _partial_tag_length(text)
        self._unread = text[split:]
        return PartedText(reasoning=text[:split])

    def _read_answer(self, text: str) -> PartedText:
        return PartedText(answer=text)


def _partial_tag_length(text: str) -> int:
    return next((n for n in range(len(_CLOSE) - 1, 0, -1) if text.endswith(_CLOSE[:n])), 0)
