"""ONNX Runtime as a worker, for inference: random weights, all graph optimisations, fixed shapes.

The images are float32 in memory.
"""

import os
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
from networks import CLASSES, PIXELS, is_dense, parts_of
from onnx import TensorProto, helper, numpy_helper
from worker import serve

OPSET = 20  # version of the operators
FORMAT = 10  # version of the file format
OPERATORS = {"sigmoid": "Sigmoid", "relu": "Relu", "flatten": "Flatten"}
random = np.random.default_rng(0)


def model(network: str, batch: int) -> onnx.ModelProto:
    """The network with random weights, from images to probabilities."""
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def add(operator: str, *shapes: tuple[int, ...], **attributes: object) -> None:
        """Append a node with the last node's output and random arrays of these shapes as inputs."""
        names = [f"{operator}{len(nodes)}.{index}" for index in range(len(shapes))]
        for name, shape in zip(names, shapes, strict=True):
            values = random.normal(0, 0.1, shape).astype(np.float32)
            weights.append(numpy_helper.from_array(values, name))
        x = nodes[-1].output[0] if nodes else "images"
        nodes.append(helper.make_node(operator, [x, *names], [f"a{len(nodes)}"], **attributes))

    for part in parts_of(network):
        match part:
            case ("conv", channels, filters, kernel):
                add("Conv", (filters, channels, kernel, kernel), (filters,))
            case ("pool", size):
                add("MaxPool", kernel_shape=[size, size], strides=[size, size])
            case ("dense", n_in, n_out):
                add("Gemm", (n_out, n_in), (n_out,), transB=1)
            case ("dropout", _):
                pass
            case (name,):
                add(OPERATORS[name])
    add("Sigmoid" if is_dense(network) else "Softmax")
    inputs = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, *PIXELS])
    outputs = helper.make_tensor_value_info(
        nodes[-1].output[0], TensorProto.FLOAT, [batch, CLASSES]
    )
    graph = helper.make_graph(nodes, network, [inputs], [outputs], weights)
    built = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=FORMAT
    )
    onnx.checker.check_model(built)
    return built


def infer(network: str, batch: int) -> Callable[[], object]:
    """The probabilities of one batch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["BENCHMARK_THREADS"])
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(
        model(network, batch).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    images = random.random((batch, *PIXELS), np.float32)
    return lambda: session.run(None, {"images": images})


serve(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}", infer=infer)
