"""What the parent tells its child on standard input."""

import json
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What to serve and how."""

    chat_model: str
    embed_model: str
    api_key: str = field(repr=False)
    context_tokens: int
    threads: int | None
    """None: the child decides by the number of cores."""
    chat_file: str
    embedding_file: str
    tokenizer_file: str
    parent_pid: int

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """Read the line that the parent wrote."""
        return cls(**json.loads(line))
