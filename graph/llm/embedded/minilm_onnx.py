"""Builds the ONNX graph of all-MiniLM-L6-v2 from its published tensors.

Run as `python -m graph.llm.embedded.minilm_onnx TENSORS OUTPUT`: a process of its own, because the
`onnx` package and the tensors together would stay in the memory of whoever imported them.
"""

import json
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

LAYERS = 6
HEADS = 12
HIDDEN = 384
EPSILON = 1e-12
OPSET = 17


def build_minilm(tensors: Path, output: Path) -> None:
    """Write the model that maps token ids and mask to unit-length sentence vectors."""
    builder = _GraphBuilder(_read_safetensors(tensors))
    vectors = builder.build()
    graph = helper.make_graph(
        builder.nodes,
        "all-minilm",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"]),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "tokens"]),
        ],
        [helper.make_tensor_value_info(vectors, TensorProto.FLOAT, ["batch", HIDDEN])],
        builder.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    checker.check_model(model)
    save(model, output)


class _GraphBuilder:
    """Collects nodes and weights; each method adds one piece and returns the name of its result."""

    def __init__(self, weights: dict[str, np.ndarray[Any, Any]]) -> None:
        self._weights = weights
        self._count = 0
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def build(self) -> str:
        states = self._embed()
        mask = self._attention_mask()
        for layer in range(LAYERS):
            states = self._layer(states, mask, f"encoder.layer.{layer}.")
        return self._pool(states)

    def _embed(self) -> str:
        words = self._add(
            "Gather", [self._weight("embeddings.word_embeddings.weight"), "input_ids"]
        )
        length = self._add("Gather", [self._add("Shape", ["input_ids"]), self._ints([1])])
        places = self._add(
            "Slice",
            [
                self._weight("embeddings.position_embeddings.weight"),
                self._ints([0]),
                length,
                self._ints([0]),
            ],
        )
        kind = self._constant(self._weights["embeddings.token_type_embeddings.weight"][0])
        summed = self._add("Add", [self._add("Add", [words, places]), kind])
        return self._normalise(summed, "embeddings.LayerNorm")

    def _attention_mask(self) -> str:
        kept = self._add("Cast", ["attention_mask"], to=TensorProto.FLOAT)
        hidden = self._add("Sub", [self._number(1.0), kept])
        far = self._add("Mul", [hidden, self._number(-10_000.0)])
        return self._add("Unsqueeze", [far, self._ints([1, 2])])

    def _layer(self, states: str, mask: str, prefix: str) -> str:
        context = self._attend(states, mask, prefix + "attention.self.")
        attended = self._linear(context, prefix + "attention.output.dense")
        states = self._normalise(
            self._add("Add", [attended, states]), prefix + "attention.output.LayerNorm"
        )
        widened = self._gelu(self._linear(states, prefix + "intermediate.dense"))
        narrowed = self._linear(widened, prefix + "output.dense")
        return self._normalise(self._add("Add", [narrowed, states]), prefix + "output.LayerNorm")

    def _attend(self, states: str, mask: str, prefix: str) -> str:
        query = self._heads(self._linear(states, prefix + "query"), [0, 2, 1, 3])
        key = self._heads(self._linear(states, prefix + "key"), [0, 2, 3, 1])
        value = self._heads(self._linear(states, prefix + "value"), [0, 2, 1, 3])
        scale = self._number(float((HIDDEN // HEADS) ** -0.5))
        scores = self._add("Mul", [self._add("MatMul", [query, key]), scale])
        shares = self._add("Softmax", [self._add("Add", [scores, mask])], axis=-1)
        mixed = self._add("MatMul", [shares, value])
        joined = self._add("Transpose", [mixed], perm=[0, 2, 1, 3])
        return self._add("Reshape", [joined, self._ints([0, 0, HIDDEN])])

    def _heads(self, states: str, order: list[int]) -> str:
        split = self._add("Reshape", [states, self._ints([0, 0, HEADS, HIDDEN // HEADS])])
        return self._add("Transpose", [split], perm=order)

    def _gelu(self, states: str) -> str:
        scaled = self._add("Mul", [states, self._number(0.5**0.5)])
        curve = self._add("Add", [self._add("Erf", [scaled]), self._number(1.0)])
        half = self._add("Mul", [states, self._number(0.5)])
        return self._add("Mul", [half, curve])

    def _pool(self, states: str) -> str:
        kept = self._add("Cast", ["attention_mask"], to=TensorProto.FLOAT)
        kept = self._add("Unsqueeze", [kept, self._ints([2])])
        masked = self._add("Mul", [states, kept])
        total = self._add("ReduceSum", [masked, self._ints([1])], keepdims=0)
        count = self._add("ReduceSum", [kept, self._ints([1])], keepdims=0)
        mean = self._add("Div", [total, count])
        return self._add("LpNormalization", [mean], axis=1, p=2, result="embeddings")

    def _linear(self, states: str, prefix: str) -> str:
        product = self._add(
            "MatMul", [states, self._constant(self._weights[f"{prefix}.weight"].T.copy())]
        )
        return self._add("Add", [product, self._weight(f"{prefix}.bias")])

    def _normalise(self, states: str, prefix: str) -> str:
        scale, bias = self._weight(f"{prefix}.weight"), self._weight(f"{prefix}.bias")
        return self._add("LayerNormalization", [states, scale, bias], epsilon=EPSILON)

    def _add(self, kind: str, inputs: list[str], *, result: str = "", **attributes: Any) -> str:
        name = result or self._name()
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def _weight(self, name: str) -> str:
        return self._constant(self._weights[name])

    def _ints(self, values: Iterable[int]) -> str:
        return self._constant(np.array(list(values), dtype=np.int64))

    def _number(self, value: float) -> str:
        return self._constant(np.array(value, dtype=np.float32))

    def _constant(self, values: np.ndarray[Any, Any]) -> str:
        name = self._name()
        self.initializers.append(numpy_helper.from_array(values, name))
        return name

    def _name(self) -> str:
        self._count += 1
        return f"v{self._count}"


def _read_safetensors(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read the float tensors: eight bytes of header length, a JSON header, then raw data."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    body = memoryview(data)[8 + length :]
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(body[start:end], dtype=np.float32).reshape(entry["shape"])
    return tensors


if __name__ == "__main__":
    build_minilm(Path(sys.argv[1]), Path(sys.argv[2]))
