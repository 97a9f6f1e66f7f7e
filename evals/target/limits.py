"""What an answer may take: the product is told of no limit, so it is held to after each message."""

from dataclasses import dataclass

from evals.target.answer import Answer


@dataclass(frozen=True, kw_only=True)
class AnswerLimits:
    """How much an answer may take, over all messages of its sample."""

    tokens: int | None = None
    """Read and written, as the product counts them."""
    steps: int | None = None
    """How often its model is asked."""
    tool_calls: int | None = None

    def met(self, answer: Answer) -> str | None:
        """Which of them an answer has gone beyond, and by how much."""
        taken = {
            "tokens": (answer.tokens_in + answer.tokens_out, self.tokens),
            "steps": (answer.steps, self.steps),
            "tool calls": (len(answer.calls), self.tool_calls),
        }
        for name, (count, most) in taken.items():
            if most is not None and count > most:
                return f"{count} {name}, at most {most}"
        return None


UNLIMITED = AnswerLimits()
