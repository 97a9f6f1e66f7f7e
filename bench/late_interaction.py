"""A reranker to measure with, since no package index carries weights of one: late interaction.

Each token of the question looks for the nearest token of the passage, and the nearnesses are
averaged (MaxSim of Khattab and Zaharia, "ColBERT", 2020). The tokens' vectors are those of the
product's embedding model, which nobody has trained for this. Scores are cosines, those below
nought counting as nought.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from tokenizers import Tokenizer

from graph.llm.embedded.model_files import prepare_models
from graph.llm.embedded.settings import default_cache_dir
from persistence.ranking.reranker import Reranker

CHAT_MODEL = "qwen2.5-coder:0.5b"
MAX_TOKENS = 256
POOLED_FROM = "LayerNormalization"
"""The last node of this kind gives the states of the tokens, which the model then averages."""

Vectors = np.ndarray[Any, np.dtype[np.float32]]


class LateInteraction(Reranker):
    """MaxSim over the token vectors of all-MiniLM-L6-v2."""

    def __init__(self, model: Path, tokenizer: Path) -> None:
        graph = onnx.load(model.as_posix())
        states = [node for node in graph.graph.node if node.op_type == POOLED_FROM][-1].output[0]
        graph.graph.output.append(helper.make_tensor_value_info(states, TensorProto.FLOAT, None))
        self._states = states
        self._session = onnxruntime.InferenceSession(
            graph.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(tokenizer.as_posix())
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """How near the words of each text come to those of the question, from 0 to 1."""
        return await asyncio.to_thread(self._rerank, query, texts)

    def _rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        asked = self._vectors(query)
        nearness = [(asked @ self._vectors(text).T).max(axis=1).mean() for text in texts]
        return [float(min(1.0, max(0.0, each))) for each in nearness]

    def _vectors(self, text: str) -> Vectors:
        """One unit-length row for each token but the marks of the beginning and the end."""
        encoded = self._tokenizer.encode(text)
        ids = np.array([encoded.ids], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        [[states]] = self._session.run([self._states], inputs)
        words: Vectors = states[1:-1] if len(states) > 2 else states
        unit: Vectors = words / np.linalg.norm(words, axis=1, keepdims=True)
        return unit


async def open_late_interaction() -> LateInteraction:
    """Loads the embedding model of the cache, and builds it if it is not there."""
    files = await prepare_models(CHAT_MODEL, models_dir=default_cache_dir() / "models")
    return await asyncio.to_thread(LateInteraction, files.embedding, files.tokenizer)
