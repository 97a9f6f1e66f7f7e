"""No library of the product reports to its maker."""

import subprocess
import sys

import onnx
from onnx import TensorProto, helper

from graph.llm.embedded.child_process import _child_environment

ENDS_SECONDS = 60


def tiny_model() -> bytes:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [result])
    opset = helper.make_opsetid("", 17)
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    return model.SerializeToString()


def run_session(home, environment) -> list[str]:
    model = home / "tiny.onnx"
    model.write_bytes(tiny_model())
    program = f"import onnxruntime; onnxruntime.InferenceSession({str(model)!r})"
    subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"HOME": str(home), "XDG_CACHE_HOME": ""},
        timeout=ENDS_SECONDS,
        check=True,
    )
    return [path.name for path in home.rglob("*") if path != model]


def test_the_model_process_keeps_no_device_id_and_queues_no_events(tmp_path):
    assert run_session(tmp_path, _child_environment()) == []
