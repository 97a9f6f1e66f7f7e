"""Turns texts into vectors with all-MiniLM-L6-v2 on onnxruntime. Child process only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

MAX_TOKENS = 256
BATCH_SIZE = 16

Vectors = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """The vectors of one request."""

    vectors: Vectors
    """One unit-length row for each text."""
    tokens: int
    """How many tokens were read."""


class MiniLm:
    """The sentence model. Blocking: call it from a thread."""

    dimension = 384

    def __init__(self, model: Path, tokenizer: Path, *, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle threads that spin would take the cores from the language model beside.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            model.as_posix(), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(tokenizer.as_posix())
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()
        self._counter = Tokenizer.from_file(tokenizer.as_posix())
        self._counter.no_truncation()
        self._counter.no_padding()

    def fits(self, text: str) -> bool:
        """Say whether the whole text is within the window of the model."""
        return len(self._counter.encode(text).ids) <= MAX_TOKENS

    def embed(self, texts: Sequence[str]) -> Embedding:
        """Embed the texts; what is longer than the window is cut."""
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        tokens = 0
        # Texts of like length share a batch, so that little is padded.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for start in range(0, len(order), BATCH_SIZE):
            chosen = order[start : start + BATCH_SIZE]
            encoded = self._tokenizer.encode_batch([texts[index] for index in chosen])
            mask = np.array([entry.attention_mask for entry in encoded], dtype=np.int64)
            ids = np.array([entry.ids for entry in encoded], dtype=np.int64)
            tokens += int(mask.sum())
            (rows[chosen],) = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
        return Embedding(vectors=rows, tokens=tokens)
