#!/usr/bin/env python3
"""Compares `convpool op` with onnxruntime on random cases, and its gradients of convolutions with NumPy.

    oracle.py CONVPOOL [--cases 500] [--gradients 50] [--seed 1] [--only NUMBER]

Runs in a virtual environment with numpy, onnx and onnxruntime: CONVPOOL_ORACLE_VENV, by default build/oracle-venv, made
at the first run. Arrays are N,C,space and O,I,kernel here, as in ONNX; each case is also given to the tool channels last.

Where onnxruntime departs from the rules of the field, the case is asked in a form in which it does not:
  - SAME with dilation: its Conv refuses it and its poolings take the kernel for its dilated extent. SAME with a kernel
    below the stride: its poolings find negative padding. The padding is then worked out here (same_padding).
  - Padding as large as a pooling's kernel: it refuses it, which SAME with dilation needs. The input is then padded here,
    with minus infinity for the maximum; an average is the ratio of two sums of windows, of values and of ones.
  - Resize gives the input itself where the sizes are the same, and rounds the ratio of sizes to single precision, which
    may take nearest to another pixel. Such scales and sizes are not asked.
"""
import argparse
import math
import os
import subprocess
import sys
import tempfile
import venv
from itertools import product
from pathlib import Path

PACKAGES = ["numpy", "onnx", "onnxruntime"]


def enter_environment():
    project = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("CONVPOOL_ORACLE_VENV") or project / "build" / "oracle-venv").absolute()
    if Path(sys.prefix).resolve() == folder.resolve():
        return
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    imports = "import " + ", ".join(PACKAGES)
    if subprocess.run([python, "-c", imports], stderr=subprocess.DEVNULL).returncode:
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run(pip + PACKAGES, check=True)
    os.execv(python, [str(python), __file__] + sys.argv[1:])


if __name__ == "__main__":
    enter_environment()

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

TOLERANCE = 1e-5  # of the largest output
ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}


# --- the tool ---


def channels_last(x):
    return np.moveaxis(x, 1, -1) if x.ndim >= 3 else x


def channels_first(x):
    return np.moveaxis(x, -1, 1) if x.ndim >= 3 else x


def filters_last(w):
    return np.moveaxis(w, (0, 1), (-1, -2))


def filters_first(w):
    return np.moveaxis(w, (-1, -2), (0, 1))


def vector(b):
    return b


TO_FILE = {"x": channels_last, "second": channels_last, "grad": channels_last, "w": filters_last, "b": vector,
           "scale": vector, "mean": vector, "variance": vector, "target": channels_last}
FROM_FILE = {"y": channels_first, "dx": channels_first, "dw": filters_first, "db": lambda b: b}
OPTION = {"x": "--input", "second": "--input", "scale": "--weights", "mean": "--mean", "variance": "--variance",
          "w": "--weights", "b": "--bias", "grad": "--grad", "target": "--target",
          "y": "--output", "dx": "--output-dx", "dw": "--output-dw", "db": "--output-db"}


def run_tool(tool, folder, operation, arguments, arrays, results, layout):
    """The results, by name, of one call; an error of the tool is raised with its text."""
    command = [tool, "op", operation, "--layout", layout] + arguments
    for name, array in arrays.items():
        turned = TO_FILE[name](array) if layout == "nhwc" else array
        np.save(folder / f"{name}.npy", np.ascontiguousarray(turned))
        command += [OPTION[name], folder / f"{name}.npy"]
    for name in results:
        (folder / f"{name}.npy").unlink(missing_ok=True)
        command += [OPTION[name], folder / f"{name}.npy"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if ran.returncode:
        raise RuntimeError(f"status {ran.returncode}: {ran.stderr.strip()}")
    loaded = {name: np.load(folder / f"{name}.npy") for name in results}
    return {name: FROM_FILE[name](array) if layout == "nhwc" else array for name, array in loaded.items()}


# --- onnxruntime ---


def run_onnx(nodes, arrays, constants=None):
    """The output of the last of some nodes, each given as (operator, inputs, attributes)."""
    made, values = [], list(arrays)
    for operator, inputs, attributes in nodes:
        values.append(f"value{len(made)}")
        made.append(helper.make_node(operator, inputs or [values[-2]], [values[-1]], **attributes))
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape) for name, array in arrays.items()]
    output = helper.make_tensor_value_info(values[-1], TensorProto.FLOAT, None)
    graph = helper.make_graph(made, "case", inputs, [output],
                              [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, arrays)[0]


def activation_node(activation):
    return [(ACTIVATIONS[activation], None, {})] if activation else []


# --- windows: sizes, kernels, strides, dilations and padding of a random case ---


def same_padding(size, extent, stride, lower):
    total = max(0, (-(-size // stride) - 1) * stride + extent - size)
    less, more = total // 2, total - total // 2
    return (more, less) if lower else (less, more)


class Windows:
    """The windows over an input with 1 to 3 axes. mode: same, same_lower, valid, or None for explicit padding."""

    def __init__(self, rng, pooling):
        self.axes = int(rng.integers(1, 4))
        most = {1: 40, 2: 17, 3: 8}[self.axes]

        def each(low, high):
            return [int(v) for v in rng.integers(low, high + 1, self.axes)]

        self.size = each(1, most)
        self.kernel = each(1, 5 if self.axes < 3 else 3)
        self.stride = each(1, 3)
        self.dilation = each(1, 3) if rng.random() < 0.4 else [1] * self.axes
        self.mode = [None, None, None, "valid", "same", "same_lower"][rng.integers(6)]
        self.before, self.after = [0] * self.axes, [0] * self.axes
        if self.mode in ("same", "same_lower"):
            pairs = [same_padding(size, extent, stride, self.mode == "same_lower")
                     for size, extent, stride in zip(self.size, self.extent(), self.stride)]
            self.before, self.after = [p[0] for p in pairs], [p[1] for p in pairs]
        elif self.mode is None:
            # A pooling's padding stays below its kernel, the limit of onnxruntime.
            limits = [k - 1 if pooling else k + 1 for k in self.kernel]
            self.before, self.after = ([int(rng.integers(0, n + 1)) for n in limits] for _ in range(2))
        self.ceil = bool(pooling and self.mode is None and rng.random() < 0.4)

    def extent(self):
        return [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation)]

    def exist(self):
        padded = [size + b + a for size, b, a in zip(self.size, self.before, self.after)]
        return all(e <= p for e, p in zip(self.extent(), padded))

    def arguments(self):
        arguments = ["--stride", "x".join(map(str, self.stride)), "--dilation", "x".join(map(str, self.dilation))]
        arguments += ["--padding", self.mode or ",".join(map(str, self.before + self.after))]
        return arguments + (["--ceil"] if self.ceil else [])

    def pad(self, x, value):
        around = [(0, 0), (0, 0)] + list(zip(self.before, self.after))
        return np.pad(x, around, constant_values=value)

    def attributes(self, auto_pad):
        """auto_pad: the mode is left to onnxruntime; else the padding is given."""
        attributes = {"kernel_shape": self.kernel, "strides": self.stride, "dilations": self.dilation}
        if self.mode and auto_pad:
            return attributes | {"auto_pad": {"same": "SAME_UPPER"}.get(self.mode, self.mode.upper())}
        return attributes | {"pads": self.before + self.after}


def draw_windows(rng, pooling=False):
    while not (windows := Windows(rng, pooling)).exist():
        pass
    return windows


# --- cases: (operation, arguments of the tool, arrays, expected result) ---


def normal(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


def draw_convolution(rng):
    """Windows, arrays with groups and perhaps a bias, the tool's arguments."""
    windows = draw_windows(rng)
    groups = int(rng.choice([1, 1, 1, 2, 3, 8]))
    inputs, filters = int(rng.choice([1, 1, 3, 5, 8, 17])), int(rng.choice([1, 2, 5, 8, 16, 19]))
    if groups > 1:  # depthwise among them
        inputs, filters = min(inputs, 5), min(filters, 5)
    arrays = {"x": normal(rng, rng.integers(1, 4), groups * inputs, *windows.size),
              "w": normal(rng, groups * filters, inputs, *windows.kernel)}
    if rng.random() < 0.6:
        arrays["b"] = normal(rng, groups * filters)
    return windows, groups, arrays, windows.arguments() + ["--groups", str(groups)]


def draw_activation(rng):
    return [None, None, None, "relu", "sigmoid", "tanh"][rng.integers(6)]


def conv(rng):
    windows, groups, arrays, arguments = draw_convolution(rng)
    activation = draw_activation(rng)
    attributes = windows.attributes(auto_pad=max(windows.dilation) == 1) | {"group": groups}
    expected = run_onnx([("Conv", list(arrays), attributes)] + activation_node(activation), arrays)
    return "conv", arguments + ["--activation", activation or "none"], arrays, expected


def window_sums(windows, x):
    """Sums over windows of an input that is padded already."""
    attributes = {"kernel_shape": windows.kernel, "strides": windows.stride, "dilations": windows.dilation}
    return run_onnx([("AveragePool", ["x"], attributes)], {"x": x}) * np.float32(np.prod(windows.kernel))


def has_empty_window(windows):
    """A maximum needs one value at least in each window, which the tool insists on."""
    def taps(axis):
        size, stride, before = windows.size[axis], windows.stride[axis], windows.before[axis]
        padded = size + before + windows.after[axis] - windows.extent()[axis]
        count = (-(-padded // stride) if windows.ceil else padded // stride) + 1
        if windows.ceil and (count - 1) * stride >= size + before:
            count -= 1
        for o in range(count):
            at = [o * stride - before + t * windows.dilation[axis] for t in range(windows.kernel[axis])]
            yield sum(0 <= i < size for i in at)
    return any(0 in taps(axis) for axis in range(windows.axes))


def pooling(rng, average):
    windows = draw_windows(rng, pooling=True)
    while has_empty_window(windows):
        windows = draw_windows(rng, pooling=True)
    x = normal(rng, rng.integers(1, 4), rng.choice([1, 3, 8, 16, 19]), *windows.size)
    include = bool(average and rng.random() < 0.5)
    arguments = ["--kernel", "x".join(map(str, windows.kernel))] + windows.arguments()
    arguments += ["--divisor", "padded"] if include else []
    attributes = windows.attributes(auto_pad=True) | {"ceil_mode": int(windows.ceil)}
    unusual = max(windows.dilation) > 1 or any(e < s for e, s in zip(windows.extent(), windows.stride))
    if windows.mode in ("same", "same_lower") and unusual:
        if average:
            ones = windows.pad(np.ones_like(x), float(include))
            expected = window_sums(windows, windows.pad(x, 0)) / window_sums(windows, ones)
        else:
            del attributes["auto_pad"]
            expected = run_onnx([("MaxPool", ["x"], attributes)], {"x": windows.pad(x, -np.inf)})
    elif average:
        expected = run_onnx([("AveragePool", ["x"], attributes | {"count_include_pad": int(include)})], {"x": x})
    else:
        expected = run_onnx([("MaxPool", ["x"], attributes)], {"x": x})
    return "avg-pool" if average else "max-pool", arguments, {"x": x}, expected


def max_pool(rng):
    return pooling(rng, average=False)


def average_pool(rng):
    return pooling(rng, average=True)


def lp_pool(rng):
    windows = draw_windows(rng, pooling=True)
    while windows.mode in ("same", "same_lower") or windows.ceil:
        windows = draw_windows(rng, pooling=True)
    p = int(rng.integers(1, 5))
    x = normal(rng, rng.integers(1, 4), rng.choice([1, 3, 16, 19]), *windows.size)
    attributes = windows.attributes(auto_pad=True) | {"p": p}
    arguments = ["--kernel", "x".join(map(str, windows.kernel)), "--exponent", str(p)] + windows.arguments()
    return "lp-pool", arguments, {"x": x}, run_onnx([("LpPool", ["x"], attributes)], {"x": x})


def adaptive_pool(rng):
    """By NumPy: onnxruntime has none."""
    average = rng.random() < 0.5
    size = rng.integers(1, 13, rng.integers(1, 4))
    out = [int(rng.integers(1, n + 3)) for n in size]
    x = normal(rng, rng.integers(1, 4), rng.choice([1, 3, 16, 19]), *size)
    expected = np.zeros((*x.shape[:2], *out), np.float32)
    for o in product(*map(range, out)):
        at = tuple(slice(i * n // m, -(-(i + 1) * n // m)) for i, n, m in zip(o, map(int, size), out))
        window = x[(slice(None), slice(None), *at)].reshape(*x.shape[:2], -1)
        expected[(slice(None), slice(None), *o)] = window.mean(-1) if average else window.max(-1)
    arguments = ["--output-size", "x".join(map(str, out))]
    return "adaptive-avg-pool" if average else "adaptive-max-pool", arguments, {"x": x}, expected


def global_pool(rng):
    name, operator = [("global-max-pool", "GlobalMaxPool"), ("global-avg-pool", "GlobalAveragePool"),
                      ("global-lp-pool", "GlobalLpPool")][rng.integers(3)]
    size = rng.integers(1, 10, rng.integers(1, 4))
    x = normal(rng, rng.integers(1, 4), rng.choice([1, 3, 16, 19]), *size)
    return name, [], {"x": x}, run_onnx([(operator, ["x"], {})], {"x": x})


def dense(rng):
    inputs, units, activation = rng.integers(1, 300), rng.integers(1, 70), draw_activation(rng)
    arrays = {"x": normal(rng, rng.integers(1, 9), inputs), "w": normal(rng, units, inputs)}
    if rng.random() < 0.6:
        arrays["b"] = normal(rng, units)
    expected = run_onnx([("Gemm", list(arrays), {"transB": 1})] + activation_node(activation), arrays)
    return "dense", ["--activation", activation or "none"], arrays, expected


def elementwise(rng):
    name = list(ACTIVATIONS)[rng.integers(3)]
    x = normal(rng, *rng.integers(1, 9, rng.integers(1, 6))) * np.float32(4)
    return name, [], {"x": x}, run_onnx([(ACTIVATIONS[name], ["x"], {})], {"x": x})


def softmax(rng):
    x = normal(rng, *rng.integers(1, 20, rng.integers(2, 5))) * np.float32(rng.choice([1, 30]))
    return "softmax", [], {"x": x}, run_onnx([("Softmax", ["x"], {"axis": 1})], {"x": x})


PAD_VALUES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def draw_image(rng, most=9):
    return normal(rng, rng.integers(1, 4), rng.choice([1, 3, 8, 16, 19]), *rng.integers(1, most, rng.integers(1, 4)))


def padding_for(rng, values, sizes):
    """Begins and ends that the values allow."""
    most = {"reflect": lambda n: n - 1, "circular": lambda n: n}.get(values, lambda n: 5)
    return [[int(rng.integers(0, most(n) + 1)) for n in sizes] for _ in range(2)]


def pad(rng):
    x, values = draw_image(rng), list(PAD_VALUES)[rng.integers(4)]
    before, after = padding_for(rng, values, x.shape[2:])
    arguments = ["--padding", ",".join(map(str, before + after)), "--pad-values", values]
    attributes, inputs = {"mode": PAD_VALUES[values]}, ["x", "pads"]
    constants = {"pads": np.array([0, 0] + before + [0, 0] + after)}
    if values == "constant":
        inputs, constants["value"] = inputs + ["value"], np.float32(0.75)
        arguments += ["--constant", "0.75"]
    return "pad", arguments, {"x": x}, run_onnx([("Pad", inputs, attributes)], {"x": x}, constants)


def padded_conv(rng):
    """Convolution whose padding has values of the input: of an input that NumPy has padded."""
    windows, groups, arrays, arguments = draw_convolution(rng)
    x, values = arrays["x"], list(PAD_VALUES)[rng.integers(1, 4)]
    if values != "replicate" and any(max(b, a) >= n for b, a, n in zip(windows.before, windows.after, x.shape[2:])):
        return padded_conv(rng)
    padded = np.pad(x, [(0, 0), (0, 0)] + list(zip(windows.before, windows.after)), mode=PAD_VALUES[values])
    attributes = {"kernel_shape": windows.kernel, "strides": windows.stride, "dilations": windows.dilation}
    expected = run_onnx([("Conv", list(arrays), attributes | {"group": groups})], arrays | {"x": padded})
    return "conv", arguments + ["--pad-values", values], arrays, expected


def resize(rng):
    x = draw_image(rng)
    mode = ["nearest", "linear"][rng.integers(2)]
    coordinates = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"][rng.integers(4)]
    rounding = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"][rng.integers(4)]
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    arguments = ["--interpolation", mode, "--coordinates", coordinates, "--rounding", rounding]
    scale = rng.choice([0.5, 0.6, 0.75, 1.25, 1.5, 2, 2.5, 3], x.ndim - 2).astype(np.float32)
    size = np.floor(scale * np.float32(x.shape[2:])).astype(np.int64)
    if 0 in size or tuple(size) == x.shape[2:]:
        return resize(rng)
    if rng.random() < 0.5 and mode == "linear":
        inputs, constants = ["x", "", "", "sizes"], {"sizes": np.array([*x.shape[:2], *size])}
        arguments += ["--size", "x".join(map(str, size))]
    else:
        inputs, constants = ["x", "", "scales"], {"scales": np.array([1, 1, *scale], np.float32)}
        arguments += ["--scale", "x".join(map(str, scale))]
    return "resize", arguments, {"x": x}, run_onnx([("Resize", inputs, attributes)], {"x": x}, constants)


def pixel_shuffle(rng):
    block, order = int(rng.integers(1, 4)), ["dcr", "crd"][rng.integers(2)]
    n, c, h, w = (int(v) for v in rng.integers(1, 6, 4))
    if rng.random() < 0.5:
        x = normal(rng, n, c * block * block, h, w)
        expected = run_onnx([("DepthToSpace", ["x"], {"blocksize": block, "mode": order.upper()})], {"x": x})
        return "depth-to-space", ["--block", str(block), "--order", order], {"x": x}, expected
    x = normal(rng, n, c, h * block, w * block)
    expected = run_onnx([("SpaceToDepth", ["x"], {"blocksize": block})], {"x": x})
    return "space-to-depth", ["--block", str(block)], {"x": x}, expected


def matrix(rng):
    """im2col by NumPy; channels are the fastest in a row, so that it is compared in their order."""
    windows = draw_windows(rng)
    x = normal(rng, rng.integers(1, 4), rng.choice([1, 3, 8]), *windows.size)
    padded = windows.pad(x, 0)
    count = [(p - e) // s + 1 for p, e, s in zip(padded.shape[2:], windows.extent(), windows.stride)]
    taps = [padded[(slice(None), slice(None), *(slice(t * d, t * d + (n - 1) * s + 1, s)
                                                for t, d, n, s in zip(tap, windows.dilation, count, windows.stride)))]
            for tap in product(*map(range, windows.kernel))]
    expected = np.stack(taps, 1).reshape(x.shape[0], len(taps) * x.shape[1], -1)
    return "im2col", ["--kernel", "x".join(map(str, windows.kernel))] + windows.arguments(), {"x": x}, expected


MOVEMENTS = [pad, padded_conv, resize, pixel_shuffle, matrix]
def gelu(x):
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def gelu_tanh(x):
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))) / 2


def activation(rng):
    """The operator by onnxruntime, or in double what its opset does not have."""
    alpha, beta = (float(np.float32(v)) for v in sorted(rng.uniform(0.1, 2, 2)))
    name, numbers, operator, attributes = [
        ("leaky-relu", [alpha], "LeakyRelu", {"alpha": alpha}), ("leaky-relu", [], "LeakyRelu", {}),
        ("elu", [alpha], "Elu", {"alpha": alpha}), ("selu", [], "Selu", {}), ("celu", [alpha], "Celu", {"alpha": alpha}),
        ("gelu", [], gelu, {}), ("gelu-tanh", [], gelu_tanh, {}), ("silu", [], lambda x: x / (1 + np.exp(-x)), {}),
        ("mish", [], "Mish", {}), ("softplus", [], "Softplus", {}), ("softsign", [], "Softsign", {}),
        ("hard-sigmoid", [], "HardSigmoid", {}), ("hard-swish", [], "HardSwish", {}),
        ("hard-sigmoid", [alpha, beta], "HardSigmoid", {"alpha": alpha, "beta": beta}),
        ("clip", [alpha, beta], lambda x: np.clip(x, alpha, beta), {}),
    ][rng.integers(15)]
    x = normal(rng, *rng.integers(1, 9, rng.integers(1, 6))) * np.float32(4)
    arguments = [a for pair in zip(["--alpha", "--beta"], map(str, numbers)) for a in pair]
    expected = operator(x.astype(np.float64)) if callable(operator) else run_onnx([(operator, ["x"], attributes)], {"x": x})
    return name, arguments, {"x": x}, expected


def shrunk(rng, shape):
    return [1 if rng.random() < 0.4 else int(n) for n in shape]


def binary(rng):
    """With broadcasting; of the same rank, so that both layouts mean the same axes."""
    name, operator = [("add", "Add"), ("sub", "Sub"), ("mul", "Mul"), ("div", "Div"), ("min", "Min"), ("max", "Max"),
                      ("pow", "Pow")][rng.integers(7)]
    shape = rng.integers(1, 7, rng.integers(1, 6))
    arrays = {"x": normal(rng, *shrunk(rng, shape)), "second": normal(rng, *shrunk(rng, shape))}
    if name == "pow":
        arrays["x"] = np.abs(arrays["x"])
    if name == "div":
        arrays["second"] = np.sign(arrays["second"]) * (np.abs(arrays["second"]) + np.float32(0.1))
    return name, [], arrays, run_onnx([(operator, ["x", "second"], {})], arrays)


def last_axis(axis, rank):
    """The number of a channels-first axis in the order N, space, C."""
    return axis if rank < 3 or axis == 0 else rank - 1 if axis == 1 else axis - 1


def reduction(rng):
    name, reduce = [("sum", np.sum), ("mean", np.mean), ("max", np.max), ("min", np.min), ("product", np.prod),
                    ("l1", lambda x, **by: np.abs(x).sum(**by)),
                    ("l2", lambda x, **by: np.sqrt((x * x).sum(**by)))][rng.integers(7)]
    x = normal(rng, *rng.integers(1, 7, rng.integers(1, 6)))
    axes = [a for a in range(x.ndim) if rng.random() < 0.5] or [0]
    arguments = ["--kind", name, "--keep", "--axes", ",".join(str(last_axis(a, x.ndim)) for a in axes)]
    return "reduce", arguments, {"x": x}, reduce(x.astype(np.float64), axis=tuple(axes), keepdims=True)


def pieces(rng):
    shape = [int(n) for n in rng.integers(1, 7, rng.integers(1, 6))]
    axis = int(rng.integers(len(shape)))
    x, named = normal(rng, *shape), ["--axis", str(last_axis(axis, len(shape)))]
    if rng.random() < 0.5:
        other = shape[:axis] + [int(rng.integers(1, 7))] + shape[axis + 1:]
        arrays = {"x": x, "second": normal(rng, *other)}
        return "concat", named, arrays, run_onnx([("Concat", ["x", "second"], {"axis": axis})], arrays)
    begin = int(rng.integers(shape[axis]))
    count = int(rng.integers(1, shape[axis] - begin + 1))
    return "slice", named + ["--begin", str(begin), "--count", str(count)], {"x": x}, np.take(
        x, range(begin, begin + count), axis)


def prelu(rng):
    x = normal(rng, *rng.integers(1, 7, rng.integers(2, 6)))
    slope = normal(rng, x.shape[1])
    onnx_slope = slope.reshape(-1, *[1] * (x.ndim - 2))
    return "prelu", [], {"x": x, "scale": slope}, run_onnx([("PRelu", ["x", "slope"], {})], {"x": x, "slope": onnx_slope})


def normalisation(rng):
    epsilon = float(np.float32(rng.choice([1e-5, 0.01])))
    x = normal(rng, rng.integers(1, 5), rng.choice([1, 3, 4, 8, 17]), *rng.integers(2, 7, rng.integers(1, 4)))
    C = x.shape[1]
    arrays, arguments = {"x": x, "scale": normal(rng, C), "b": normal(rng, C)}, ["--epsilon", str(epsilon)]
    kind = rng.integers(4)
    if kind == 0:
        arrays |= {"mean": normal(rng, C), "variance": np.abs(normal(rng, C)) + np.float32(0.1)}
        expected = run_onnx([("BatchNormalization", list(arrays), {"epsilon": epsilon})], arrays)
        return "batch-norm", arguments, arrays, expected
    if kind == 1:
        expected = run_onnx([("InstanceNormalization", list(arrays), {"epsilon": epsilon})], arrays)
        return "instance-norm", arguments, arrays, expected
    if kind == 2:
        turned = arrays | {"x": np.ascontiguousarray(np.moveaxis(x, 1, -1))}
        expected = run_onnx([("LayerNormalization", list(turned), {"epsilon": epsilon, "axis": -1})], turned)
        return "layer-norm", arguments, arrays, np.moveaxis(expected, -1, 1)
    groups = int(rng.choice([g for g in range(1, C + 1) if C % g == 0]))
    grouped = x.astype(np.float64).reshape(x.shape[0], groups, -1)
    deviation = np.sqrt(grouped.var(axis=2, keepdims=True) + epsilon)
    of_channel = [1, -1] + [1] * (x.ndim - 2)
    expected = ((grouped - grouped.mean(axis=2, keepdims=True)) / deviation).reshape(x.shape)
    expected = expected * arrays["scale"].reshape(of_channel) + arrays["b"].reshape(of_channel)
    return "group-norm", arguments + ["--groups", str(groups)], arrays, expected


def lrn(rng):
    """onnxruntime takes odd sizes alone."""
    size, alpha, beta, bias = 1 + 2 * int(rng.integers(0, 4)), *(float(np.float32(v)) for v in rng.uniform(0.1, 2, 3))
    x = normal(rng, *rng.integers(1, 9, 4))
    attributes = {"size": size, "alpha": alpha, "beta": beta, "bias": bias}
    arguments = ["--channels", str(size), "--alpha", str(alpha), "--beta", str(beta), "--base", str(bias)]
    return "lrn", arguments, {"x": x}, run_onnx([("LRN", ["x"], attributes)], {"x": x})


# --- losses: by NumPy in double, their gradients by differences ---


def class_loss(name, x, labels, parameter, weights):
    rows, classes = np.arange(len(x)), x.shape[1]
    log_p = x - x.max(1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(1, keepdims=True))
    if name == "focal":
        return (-(1 - np.exp(log_p[rows, labels])) ** (parameter or 2) * log_p[rows, labels]).mean()
    if name == "hinge":
        margins = np.maximum(0, 1 + x - x[rows, labels][:, None])
        margins[rows, labels] = 0
        return (margins.sum(1) / classes).mean()
    wanted = np.full(x.shape, parameter / classes)
    wanted[rows, labels] += 1 - parameter
    return -(wanted * weights * log_p).sum() / weights[labels].sum()


def value_loss(name, x, target, delta):
    if name == "binary-cross-entropy":
        return (np.logaddexp(0, x) - x * target).mean()
    if name == "mean-squared-error":
        return ((x - target) ** 2).mean()
    far = np.abs(x - target)
    return np.where(far <= delta, far ** 2 / 2, delta * (far - delta / 2)).mean()


def slopes(f, x, step=1e-5):
    result = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        there = np.zeros(x.shape)
        there[at] = step
        result[at] = (f(x + there) - f(x - there)) / (2 * step)
    return result


def loss(rng):
    of_classes = rng.random() < 0.5
    if of_classes:
        name = ["softmax-cross-entropy", "focal", "hinge"][rng.integers(3)]
    else:
        name = ["mean-squared-error", "binary-cross-entropy", "huber"][rng.integers(3)]
    arguments, parameter = [], 0.0
    if name in ["softmax-cross-entropy", "focal", "huber"]:
        parameter = float(np.float32(rng.uniform(0.1, 0.9)))
        arguments = ["--alpha", str(parameter)]
    if not of_classes:
        x = normal(rng, *rng.integers(1, 5, rng.integers(1, 5)))
        arrays = {"x": x, "target": rng.uniform(0, 1, x.shape).astype(np.float32)}
        f = lambda at: value_loss(name, at, arrays["target"].astype(np.float64), parameter)
    else:
        x = normal(rng, rng.integers(1, 7), rng.integers(2, 12))
        arrays = {"x": x, "target": rng.integers(0, x.shape[1], len(x)).astype(np.int32)}
        weights = np.ones(x.shape[1])
        if name == "softmax-cross-entropy" and rng.random() < 0.5:
            arrays["scale"] = rng.uniform(0.1, 3, x.shape[1]).astype(np.float32)
            weights = arrays["scale"].astype(np.float64)
        f = lambda at: class_loss(name, at, arrays["target"], parameter, weights)
    x = x.astype(np.float64)
    return name, arguments, arrays, {"y": np.array([f(x)]), "dx": slopes(f, x)}


KINDS = [conv] * 9 + [max_pool] * 4 + [average_pool] * 4 + [lp_pool, adaptive_pool, global_pool, dense, elementwise]
KINDS += [softmax] + MOVEMENTS
KINDS += [activation, binary, reduction, pieces, prelu, normalisation, normalisation, lrn, loss]


# --- the gradients of a convolution, by NumPy in double ---


def conv_gradients(windows, groups, x, w, b, grad_of):
    """dx, dw and db where the gradient behind the convolution is grad_of(its output)."""
    padded = windows.pad(x.astype(np.float64), 0)
    filters, inputs = w.shape[0] // groups, w.shape[1]
    count = [(p - e) // s + 1 for p, e, s in zip(padded.shape[2:], windows.extent(), windows.stride)]
    y = np.zeros((x.shape[0], w.shape[0], *count)) + b.reshape(1, -1, *[1] * windows.axes)

    def parts():  # of padded, of w and of y that meet in one tap and one group
        for tap in product(*map(range, windows.kernel)):
            at = tuple(slice(t * d, t * d + (n - 1) * s + 1, s)
                       for t, d, n, s in zip(tap, windows.dilation, count, windows.stride))
            for g in range(groups):
                of = slice(g * filters, (g + 1) * filters)
                yield (slice(None), slice(g * inputs, (g + 1) * inputs), *at), (of, slice(None), *tap), (slice(None), of)

    for i, k, o in parts():
        y[o] += np.einsum("nc...,kc->nk...", padded[i], w[k])
    grad = grad_of(y)
    dpadded, dw = np.zeros_like(padded), np.zeros(w.shape)
    but_channels = [0, *range(2, grad.ndim)]
    for i, k, o in parts():
        dpadded[i] += np.einsum("nk...,kc->nc...", grad[o], w[k])
        dw[k] = np.tensordot(grad[o], padded[i], (but_channels, but_channels))
    inside = tuple(slice(b, b + size) for b, size in zip(windows.before, windows.size))
    return dpadded[(slice(None), slice(None), *inside)], dw, grad.sum(axis=tuple(but_channels))


def gradient_case(rng):
    windows, groups, arrays, arguments = draw_convolution(rng)
    relu = rng.random() < 0.3

    def grad_of(y):
        arrays["grad"] = normal(rng, *y.shape)
        return arrays["grad"] * (y > 0) if relu else arrays["grad"].astype(np.float64)

    bias = arrays.get("b", np.zeros(arrays["w"].shape[0]))
    dx, dw, db = conv_gradients(windows, groups, arrays["x"], arrays["w"], bias, grad_of)
    expected = {"dx": dx, "dw": dw} | ({"db": db} if "b" in arrays else {})
    return "conv", arguments + ["--activation", "relu" if relu else "none"], arrays, expected


# --- running ---


def difference(got, expected):
    """None, or what is wrong."""
    if got.shape != expected.shape:
        return f"shape {got.shape}, expected {expected.shape}"
    largest = np.abs(expected).max() or 1
    error = np.abs(got - expected).max() / largest
    return None if error <= TOLERANCE else f"error {error:.3g} of the largest value {largest:.6g}"


def check(tool, folder, case):
    operation, arguments, arrays, expected = case
    if not isinstance(expected, dict):
        expected = {"y": expected}
    wrong = []
    for layout in ["nhwc", "nchw"]:
        try:
            got = run_tool(tool, folder, operation, arguments, arrays, list(expected), layout)
            found = {name: difference(got[name], expected[name]) for name in expected}
            wrong += [f"{layout} {name}: {text}" for name, text in found.items() if text]
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            wrong.append(f"{layout}: {error}")
    shapes = " ".join(f"{name} {'x'.join(map(str, array.shape))}" for name, array in arrays.items())
    return [f"{operation} {' '.join(arguments)} of {shapes} (nchw): {text}" for text in wrong]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool", type=Path)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--gradients", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="this case alone")
    options = parser.parse_args()
    total = options.cases + options.gradients
    print(f"seed {options.seed}, onnxruntime {onnxruntime.__version__}, numpy {np.__version__}: "
          f"{options.cases} cases against onnxruntime, {options.gradients} gradients against NumPy, in both layouts")
    failed = passed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(total) if options.only is None else [options.only]:
            rng = np.random.default_rng([options.seed, number])
            draw = KINDS[number % len(KINDS)] if number < options.cases else gradient_case
            wrong = check(options.tool.resolve(), Path(folder), draw(rng))
            for text in wrong:
                print(f"case {number}: {text}")
            passed, failed = passed + (not wrong), failed + bool(wrong)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
