#!/usr/bin/env python3
"""Compares `convpool op` with onnxruntime, or with NumPy in double, on random cases, forward and backward.

    oracle.py CONVPOOL [--scale 1] [--seed 1] [--only NUMBER]

Runs in a virtual environment with numpy, onnx and onnxruntime: CONVPOOL_ORACLE_VENV, by default build/oracle-venv, made
at the first run. Arrays are N,C,space and O,I,kernel here, as in ONNX; each case is also given to the tool channels last.

A case is drawn by a function under `@cases(FORWARD, BACKWARD, operation..., oracle=...)`: so many cases of each of these
operations. The function is given random numbers and the operation's name, and returns a Case: the tool's arguments, the
arrays, what onnxruntime makes of them (or None), and the same as a NumPy function of the arrays in double. Where both are
there, they must agree, too. The backward cases come from that function alone: its differences against the gradients of the
tool. The README's table of operations reads these lines.

Where onnxruntime departs from the rules of the field, the case is asked in a form in which it does not, and DEPARTURES
below shows both answers:
  - SAME with dilation: its Conv refuses it and its poolings take the kernel for its dilated extent. SAME with a kernel
    below the stride: its poolings find negative padding. The padding is then worked out here (same_padding).
  - Padding as large as a pooling's kernel: it refuses it, which SAME with dilation needs. NumPy alone answers then.
  - Col2Im with dilation, where it has not two axes: it puts numbers into the wrong places.
  - SAME of a transposed convolution with output padding, or with a window below the stride: another size.
  - Resize gives the input itself where the sizes are the same, and rounds the ratio of sizes to single precision, which
    may take nearest to another pixel. Such scales and sizes are not asked.
"""
import argparse
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import product
from pathlib import Path

from environment import enter_environment

if __name__ == "__main__":
    enter_environment()

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

TOLERANCE = 1e-5  # of the largest output
LEAST_CASES = 3000


# --- the tool ---


def channels_last(x):
    return np.moveaxis(x, 1, -1) if x.ndim >= 3 else x


def channels_first(x):
    return np.moveaxis(x, -1, 1) if x.ndim >= 3 else x


def filters_last(w):
    return np.moveaxis(w, (0, 1), (-1, -2))


def filters_first(w):
    return np.moveaxis(w, (-1, -2), (0, 1))


def as_it_is(b):
    return b


TO_FILE = {"x": channels_last, "second": channels_last, "grad": channels_last, "w": filters_last, "b": as_it_is,
           "scale": as_it_is, "mean": as_it_is, "variance": as_it_is, "target": channels_last,
           "offset": channels_last, "mask": channels_last, "positions": channels_last, "rois": as_it_is}
FROM_FILE = {"y": channels_first, "dx": channels_first, "dw": filters_first, "dscale": as_it_is, "db": as_it_is,
             "doffset": channels_first, "dmask": channels_first}
OPTION = {"x": "--input", "second": "--input", "scale": "--weights", "mean": "--mean", "variance": "--variance",
          "w": "--weights", "b": "--bias", "grad": "--grad", "target": "--target",
          "y": "--output", "dx": "--output-dx", "dw": "--output-dw", "dscale": "--output-dw", "db": "--output-db",
          "offset": "--offset", "mask": "--mask", "positions": "--positions", "rois": "--rois",
          "doffset": "--output-doffset", "dmask": "--output-dmask"}
GRADIENTS = {"x": "dx", "w": "dw", "scale": "dscale", "b": "db", "offset": "doffset", "mask": "dmask"}  # that the tool gives


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


def onnx_model(nodes, arrays, constants=None):
    """Of some nodes, each given as (operator, inputs, attributes), the last of which gives the output. inputs None: what
    the node before gave."""
    made, values = [], list(arrays)
    for operator, inputs, attributes in nodes:
        values.append(f"value{len(made)}")
        made.append(helper.make_node(operator, inputs or [values[-2]], [values[-1]], **attributes))
    inputs = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
              for name, array in arrays.items()]
    output = helper.make_tensor_value_info(values[-1], TensorProto.FLOAT, None)
    graph = helper.make_graph(made, "case", inputs, [output],
                              [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def run_onnx(nodes, arrays, constants=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    model = onnx_model(nodes, arrays, constants).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, arrays)[0]


# --- cases ---


class Draws(np.random.Generator):
    """Random numbers of one case. small: every element's slope is wanted."""

    def __init__(self, seed, small):
        super().__init__(np.random.PCG64(seed))
        self.small = small

    def one_of(self, values):
        return values[self.integers(len(values))]

    def normal_array(self, *shape):
        return self.standard_normal([int(n) for n in shape], dtype=np.float32)

    def batch(self):
        return int(self.integers(1, 3 if self.small else 4))

    def channels(self):
        return int(self.choice([1, 2, 3] if self.small else [1, 3, 8, 16, 19]))

    def sizes(self, most, axes=None):
        """Of 1 to 3 spatial axes."""
        axes = axes or int(self.integers(1, 4))
        return [int(n) for n in self.integers(1, min(most, {1: 9, 2: 5, 3: 3}[axes]) + 1 if self.small else most + 1, axes)]


class Case:
    """arguments: of the tool. arrays: in the order in which the tool wants its files. onnx: what onnxruntime says, or None.
    function: the same from the dict of arrays in double, or None. gradients: of which arrays (all that the tool knows)."""

    def __init__(self, arguments, arrays, onnx=None, function=None):
        self.arguments, self.arrays, self.onnx, self.function = arguments, arrays, onnx, function


DRAWN = []  # (operation, function, oracle, forward cases, backward cases)


def cases(forward, backward, *operations, oracle):
    def remember(function):
        DRAWN.extend((operation, function, oracle, forward, backward) for operation in operations)
        return function
    return remember


def joined(numbers, by="x"):
    return by.join(map(str, numbers))


# --- functions of one number ---

erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.logaddexp(0, x)


# name: the ONNX operator, its attributes, the same in NumPy; the usual numbers
ACTIVATIONS = {
    "relu": ("Relu", [], lambda x: np.maximum(x, 0), []),
    "sigmoid": ("Sigmoid", [], sigmoid, []),
    "tanh": ("Tanh", [], np.tanh, []),
    "leaky-relu": ("LeakyRelu", ["alpha"], lambda x, a: np.where(x < 0, a * x, x), [0.01]),
    "elu": ("Elu", ["alpha"], lambda x, a: np.where(x < 0, a * np.expm1(x), x), [1]),
    "selu": ("Selu", ["alpha", "gamma"], lambda x, a, b: b * np.where(x < 0, a * np.expm1(x), x),
             [1.6732632423543772, 1.0507009873554805]),
    "celu": ("Celu", ["alpha"], lambda x, a: np.where(x < 0, a * np.expm1(x / a), x), [1]),
    "gelu": (None, [], lambda x: x * (1 + erf(x / math.sqrt(2))) / 2, []),
    "gelu-tanh": (None, [], lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))) / 2, []),
    "silu": (None, [], lambda x: x * sigmoid(x), []),
    "mish": ("Mish", [], lambda x: x * np.tanh(softplus(x)), []),
    "softplus": ("Softplus", [], softplus, []),
    "softsign": ("Softsign", [], lambda x: x / (1 + np.abs(x)), []),
    "hard-sigmoid": ("HardSigmoid", ["alpha", "beta"], lambda x, a, b: np.clip(a * x + b, 0, 1), [0.2, 0.5]),
    "hard-swish": ("HardSwish", [], lambda x: x * np.clip(x / 6 + 0.5, 0, 1), []),
    "clip": (None, ["min", "max"], np.clip, [0, 6]),
}


def draw_activation(rng):
    """Behind a layer: its name, its ONNX nodes, its function."""
    name = rng.one_of([None, None, None, "relu", "sigmoid", "tanh"])
    if not name:
        return "none", [], as_it_is
    return name, [(ACTIVATIONS[name][0], None, {})], ACTIVATIONS[name][2]


@cases(26, 12, "relu", "sigmoid", "tanh", "leaky-relu", "elu", "selu", "celu", "mish", "softplus", "softsign",
       "hard-sigmoid", "hard-swish", oracle="onnxruntime")
@cases(26, 12, "gelu", "gelu-tanh", "silu", "clip", oracle="NumPy")
def activation(rng, name):
    operator, words, function, numbers = ACTIVATIONS[name]
    arguments = []
    if words and rng.random() < 0.5:
        numbers = [float(np.float32(v)) for v in sorted(rng.uniform(0.1, 2, len(words)))]
        arguments = [a for pair in zip(["--alpha", "--beta"], map(str, numbers)) for a in pair]
    arrays = {"x": rng.normal_array(*rng.integers(1, 4 if rng.small else 9, rng.integers(1, 5))) * np.float32(4)}
    onnx = run_onnx([(operator, ["x"], dict(zip(words, map(float, numbers))))], arrays) if operator else None
    return Case(arguments, arrays, onnx, lambda a: function(a["x"], *numbers))


@cases(40, 20, "softmax", oracle="onnxruntime")
def softmax(rng, name):
    shape = rng.integers(1, 4 if rng.small else 20, rng.integers(2, 5))
    arrays = {"x": rng.normal_array(*shape) * np.float32(rng.choice([1, 30]))}

    def function(a):
        powers = np.exp(a["x"] - a["x"].max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)
    return Case([], arrays, run_onnx([("Softmax", ["x"], {"axis": 1})], arrays), function)


# --- windows: sizes, kernels, strides, dilations and padding of a random case ---


def same_padding(size, extent, stride, lower):
    total = max(0, (-(-size // stride) - 1) * stride + extent - size)
    less, more = total // 2, total - total // 2
    return (more, less) if lower else (less, more)


class Windows:
    """The windows over an input with 1 to 3 axes. mode: a word for the padding, or None where it is given in numbers."""

    def __init__(self, rng, pooling):
        most = {1: 40, 2: 17, 3: 8}
        self.size = rng.sizes(40)
        self.axes = len(self.size)
        self.size = [min(n, most[self.axes]) for n in self.size]

        def each(low, high):
            return [int(v) for v in rng.integers(low, high + 1, self.axes)]

        self.kernel = each(1, 3 if self.axes == 3 or rng.small else 5)
        self.stride = each(1, 3)
        self.dilation = each(1, 3) if rng.random() < 0.4 else [1] * self.axes
        words = ["valid", "same", "same_lower"]
        self.mode = rng.one_of([None, None, None] + words + ([] if pooling else ["causal", "full"]))
        self.before, self.after = [0] * self.axes, [0] * self.axes
        if self.mode in ("same", "same_lower"):
            pairs = [same_padding(size, extent, stride, self.mode == "same_lower")
                     for size, extent, stride in zip(self.size, self.extent(), self.stride)]
            self.before, self.after = [p[0] for p in pairs], [p[1] for p in pairs]
        elif self.mode in ("causal", "full"):
            self.before = [e - 1 for e in self.extent()]
            self.after = [e - 1 if self.mode == "full" else 0 for e in self.extent()]
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

    def count(self):
        """Windows along each axis; where the number is rounded up, each begins inside the input or before it."""
        counts = []
        for size, b, a, e, s in zip(self.size, self.before, self.after, self.extent(), self.stride):
            room = size + b + a - e
            n = (-(-room // s) if self.ceil else room // s) + 1
            counts.append(n - 1 if self.ceil and (n - 1) * s >= size + b else n)
        return counts

    def numbers(self):
        """Which positions of the padded input each axis' taps and windows meet: [taps][windows]."""
        return [np.arange(k)[:, None] * d + np.arange(n) * s
                for k, d, n, s in zip(self.kernel, self.dilation, self.count(), self.stride)]

    def arguments(self):
        arguments = ["--stride", joined(self.stride), "--dilation", joined(self.dilation)]
        arguments += ["--padding", self.mode or joined(self.before + self.after, ",")]
        return arguments + (["--ceil"] if self.ceil else [])

    def pad(self, x, value=0, mode="constant"):
        """Also as far as rounded up windows reach."""
        reach = [int(n.max()) + 1 for n in self.numbers()]
        after = [max(0, r - size - b) for r, size, b in zip(reach, self.size, self.before)]
        if mode != "constant":
            return np.pad(x, [(0, 0), (0, 0)] + list(zip(self.before, self.after)), mode=mode)
        around = [(0, 0), (0, 0)] + list(zip(self.before, np.maximum(after, self.after)))
        return np.pad(x, around, constant_values=value)

    def taps(self, padded):
        """[taps][N,C,windows], taps in row-major order."""
        numbers = self.numbers()
        return np.stack([padded[(slice(None), slice(None), *np.ix_(*(n[t] for n, t in zip(numbers, tap))))]
                         for tap in product(*map(range, self.kernel))])

    def attributes(self, auto_pad):
        """auto_pad: the mode is left to onnxruntime; else the padding is given."""
        attributes = {"kernel_shape": self.kernel, "strides": self.stride, "dilations": self.dilation}
        if auto_pad and self.mode in ("valid", "same", "same_lower"):
            return attributes | {"auto_pad": {"same": "SAME_UPPER"}.get(self.mode, self.mode.upper())}
        return attributes | {"pads": self.before + self.after}


def draw_windows(rng, pooling=False):
    while not (windows := Windows(rng, pooling)).exist():
        pass
    return windows


# --- convolutions ---


def convolve(windows, groups, a, mode="constant"):
    return weigh(windows, groups, a, windows.taps(windows.pad(a["x"], mode=mode)))


def weigh(windows, groups, a, taps):
    """The convolution of what the taps see, [taps][N,C,windows]."""
    x, w = a["x"], a["w"]
    taps = taps.reshape(len(taps), x.shape[0], groups, -1, *taps.shape[3:])  # t,n,g,c,...
    w = w.reshape(groups, w.shape[0] // groups, w.shape[1], -1)  # g,k,c,t
    y = np.einsum("tngc...,gkct->ngk...", taps, w, optimize=True)
    y = y.reshape(x.shape[0], -1, *y.shape[3:])
    return y + a["b"].reshape(1, -1, *[1] * windows.axes) if "b" in a else y


def scaled(w):
    """So that sums are about 1, and an activation behind them shows their digits."""
    return w / np.float32(math.sqrt(w[0].size))


def draw_weights(rng, windows, inputs, filters, groups):
    """x, w and perhaps b; inputs and filters are those of a group."""
    arrays = {"x": rng.normal_array(rng.batch(), groups * inputs, *windows.size),
              "w": scaled(rng.normal_array(groups * filters, inputs, *windows.kernel))}
    if rng.random() < 0.6:
        arrays["b"] = rng.normal_array(groups * filters)
    return arrays


def draw_groups(rng):
    """Groups, and channels of each on both sides: as many as there are channels among them, with a multiplier."""
    if rng.small:
        return int(rng.integers(1, 3)), int(rng.integers(1, 3)), int(rng.integers(1, 3))
    groups = int(rng.choice([1, 1, 1, 2, 3, 8, 17]))
    most = 20 if groups == 1 else 5
    inputs = 1 if groups > 1 and rng.random() < 0.5 else int(rng.integers(1, most))
    return groups, inputs, int(rng.integers(1, most))


PAD_VALUES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@cases(420, 120, "conv", oracle="onnxruntime")
def convolution(rng, name):
    windows, (groups, inputs, filters) = draw_windows(rng), draw_groups(rng)
    arrays = draw_weights(rng, windows, inputs, filters, groups)
    word, nodes, after = draw_activation(rng)
    arguments = windows.arguments() + ["--groups", str(groups), "--activation", word]
    attributes = windows.attributes(auto_pad=max(windows.dilation) == 1) | {"group": groups}
    onnx = run_onnx([("Conv", list(arrays), attributes)] + nodes, arrays)
    return Case(arguments, arrays, onnx, lambda a: after(convolve(windows, groups, a)))


@cases(70, 30, "conv", oracle="onnxruntime")
def padded_convolution(rng, name):
    """Padding that has values of the input: onnxruntime sees an input that NumPy has padded."""
    values = rng.one_of(list(PAD_VALUES)[1:])
    windows = draw_windows(rng)
    while values != "replicate" and any(max(b, a) >= n
                                        for b, a, n in zip(windows.before, windows.after, windows.size)):
        windows = draw_windows(rng)
    groups, inputs, filters = draw_groups(rng)
    arrays = draw_weights(rng, windows, inputs, filters, groups)
    attributes = {"kernel_shape": windows.kernel, "strides": windows.stride, "dilations": windows.dilation}
    padded = arrays | {"x": windows.pad(arrays["x"], mode=PAD_VALUES[values])}
    onnx = run_onnx([("Conv", list(arrays), attributes | {"group": groups})], padded)
    return Case(windows.arguments() + ["--groups", str(groups), "--pad-values", values], arrays, onnx,
                lambda a: convolve(windows, groups, a, PAD_VALUES[values]))


class Transposed:
    """Sizes of a transposed convolution; padding may follow from its output's size."""

    def __init__(self, rng):
        w = draw_windows(rng)
        self.size, self.kernel, self.stride, self.dilation, self.extent = (
            w.size, w.kernel, w.stride, w.dilation, w.extent())
        if not rng.small:
            self.size = [min(n, 12) for n in self.size]
        axes = range(w.axes)
        self.mode = rng.one_of([None, None, "same", "same_lower", "size"])
        self.more = [int(rng.integers(0, max(s, d))) if rng.random() < 0.5 else 0 for s, d in zip(self.stride, self.dilation)]
        self.before, self.after = ([int(rng.integers(0, e)) for e in self.extent] for _ in range(2))
        full = [s * (n - 1) + e for s, n, e in zip(self.stride, self.size, self.extent)]
        if self.mode is None:
            self.out = [full[d] + self.more[d] - self.before[d] - self.after[d] for d in axes]
            return
        if self.mode == "size":
            self.out = [max(1, full[d] + self.more[d] - int(rng.integers(0, self.extent[d] + 1))) for d in axes]
        else:
            self.more = [0] * w.axes
            self.out = [s * n for s, n in zip(self.stride, self.size)]
        total = [full[d] + self.more[d] - self.out[d] for d in axes]
        # Rows that are missing altogether stand behind.
        self.before = [0 if t < 0 else t // 2 if self.mode == "same" else t - t // 2 for t in total]
        self.after = [t - b for t, b in zip(total, self.before)]

    def arguments(self):
        arguments = ["--stride", joined(self.stride), "--dilation", joined(self.dilation)]
        if any(self.more):
            arguments += ["--output-padding", joined(self.more)]
        if self.mode == "size":
            return arguments + ["--output-size", joined(self.out)]
        return arguments + ["--padding", self.mode or joined(self.before + self.after, ",")]

    def attributes(self):
        attributes = {"kernel_shape": self.kernel, "strides": self.stride, "dilations": self.dilation,
                      "output_padding": self.more}
        if self.mode == "size":
            return attributes | {"output_shape": self.out}
        if self.mode:
            return attributes | {"auto_pad": "SAME_UPPER" if self.mode == "same" else "SAME_LOWER"}
        return attributes | {"pads": self.before + self.after}

    def onnx_knows(self):
        """In the other cases it finds negative padding, or another size."""
        least = min(self.before + self.after) >= 0
        return least and all(m < s for m, s in zip(self.more, self.stride))


def scatter(t, groups, a):
    x, w = a["x"], a["w"]
    N, K = x.shape[:2]
    x = x.reshape(N, groups, K // groups, *t.size)
    w = w.reshape(groups, K // groups, w.shape[1], *t.kernel)
    room = [s * (n - 1) + e + m for s, n, e, m in zip(t.stride, t.size, t.extent, t.more)]
    room = [max(r, b + o) for r, b, o in zip(room, t.before, t.out)]
    y = np.zeros((N, groups, w.shape[2], *room))
    for tap in product(*map(range, t.kernel)):
        at = tuple(slice(i * d, i * d + (n - 1) * s + 1, s) for i, d, n, s in zip(tap, t.dilation, t.size, t.stride))
        y[(..., *at)] += np.einsum("ngk...,gkc->ngc...", x, w[(..., *tap)])
    y = y[(..., *(slice(b, b + o) for b, o in zip(t.before, t.out)))].reshape(N, -1, *t.out)
    return y + a["b"].reshape(1, -1, *[1] * len(t.out)) if "b" in a else y


@cases(190, 60, "conv-transpose", oracle="onnxruntime")
def transposed(rng, name):
    t, (groups, inputs, filters) = Transposed(rng), draw_groups(rng)
    while min(t.out) < 1:
        t = Transposed(rng)
    arrays = {"x": rng.normal_array(rng.batch(), groups * inputs, *t.size),
              "w": scaled(rng.normal_array(groups * inputs, filters, *t.kernel))}
    if rng.random() < 0.6:
        arrays["b"] = rng.normal_array(groups * filters)
    word, nodes, after = draw_activation(rng)
    arguments = t.arguments() + ["--groups", str(groups), "--activation", word]
    onnx = None
    if t.onnx_knows():
        onnx = run_onnx([("ConvTranspose", list(arrays), t.attributes() | {"group": groups})] + nodes, arrays)
    return Case(arguments, arrays, onnx, lambda a: after(scatter(t, groups, a)))


def between_pixels(x, points):
    """x [N,C,space] at points [axes][N,...], linearly; what is outside is 0: [N,C,...]."""
    image = np.arange(len(x)).reshape(-1, *[1] * (points[0].ndim - 1))
    result = 0
    for corner in product((0, 1), repeat=len(points)):
        at = [np.floor(p).astype(int) + c for p, c in zip(points, corner)]
        weight = np.prod([np.maximum(0, 1 - np.abs(p - i)) for p, i in zip(points, at)], axis=0)
        inside = np.all([(0 <= i) & (i < n) for i, n in zip(at, x.shape[2:])], axis=0)
        clipped = [np.clip(i, 0, n - 1) for i, n in zip(at, x.shape[2:])]
        result = result + np.moveaxis(x[(image, slice(None), *clipped)], -1, 1) * (weight * inside)[:, None]
    return result


def deformed_taps(windows, parts, a):
    x, count, taps = a["x"], windows.count(), []
    offset = a["offset"].reshape(len(x), parts, -1, windows.axes, *count)
    mask = a["mask"].reshape(len(x), parts, -1, *count) if "mask" in a else None
    for t, tap in enumerate(product(*map(range, windows.kernel))):
        places = np.meshgrid(*(n[k] - before for n, k, before in zip(windows.numbers(), tap, windows.before)), indexing="ij")
        seen = []
        for g, part in enumerate(np.split(x, parts, axis=1)):
            seen.append(between_pixels(part, [p + offset[:, g, t, d] for d, p in enumerate(places)]))
            if mask is not None:
                seen[-1] = seen[-1] * mask[:, g, t][:, None]
        taps.append(np.concatenate(seen, axis=1))
    return np.stack(taps)


@cases(70, 30, "deform-conv", oracle="onnxruntime")
def deformable(rng, name):
    """onnxruntime has two axes alone."""
    windows, (groups, inputs, filters) = draw_windows(rng), draw_groups(rng)
    while math.prod(windows.count()) * math.prod(windows.kernel) > (12 if rng.small else 1500):
        windows = draw_windows(rng)
    arrays = draw_weights(rng, windows, inputs, filters, groups)
    parts = int(rng.one_of([p for p in range(1, groups * inputs + 1) if groups * inputs % p == 0]))
    field = (len(arrays["x"]), parts * math.prod(windows.kernel), *windows.count())
    arrays["offset"] = rng.uniform(-2, 2, (field[0], field[1] * windows.axes, *field[2:])).astype(np.float32)
    if rng.random() < 0.6:
        arrays["mask"] = rng.uniform(0, 1, field).astype(np.float32)
    word, nodes, after = draw_activation(rng)
    arguments = windows.arguments() + ["--groups", str(groups), "--offset-groups", str(parts), "--activation", word]
    onnx = None
    if windows.axes == 2:
        attributes = windows.attributes(auto_pad=False) | {"group": groups, "offset_group": parts}
        named = [n if n in arrays else "" for n in ("x", "w", "offset", "b", "mask")]
        onnx = run_onnx([("DeformConv", named, attributes)] + nodes, arrays)
    return Case(arguments, arrays, onnx,
                lambda a: after(weigh(windows, groups, a, deformed_taps(windows, parts, a))))


@cases(50, 30, "local-conv", oracle="NumPy")
def local(rng, name):
    """Weights of their own at each position; the channels are the fastest of a position's taps."""
    windows = draw_windows(rng)
    while math.prod(windows.count()) * math.prod(windows.kernel) > (20 if rng.small else 2000):
        windows = draw_windows(rng)
    inputs, filters = (int(v) for v in rng.integers(1, 3 if rng.small else 9, 2))
    outputs, rows = math.prod(windows.count()), math.prod(windows.kernel) * inputs
    arrays = {"x": rng.normal_array(rng.batch(), inputs, *windows.size), "w": rng.normal_array(filters, rows, outputs)}
    if rng.random() < 0.6:
        arrays["b"] = rng.normal_array(filters)
    word, _, after = draw_activation(rng)

    def function(a):
        y = np.einsum("nro,kro->nko", matrix_of(windows, a["x"]), a["w"]).reshape(len(a["x"]), filters, *windows.count())
        return after(y + a["b"].reshape(1, -1, *[1] * windows.axes) if "b" in a else y)
    arguments = ["--kernel", joined(windows.kernel), "--activation", word] + windows.arguments()
    return Case(arguments, arrays, None, function)


def matrix_of(windows, x):
    """[N, taps*C, windows]"""
    taps = np.moveaxis(windows.taps(windows.pad(x)), 0, 1)
    return taps.reshape(x.shape[0], -1, math.prod(windows.count()))


@cases(50, 25, "im2col", oracle="NumPy")
def im2col(rng, name):
    windows = draw_windows(rng)
    arrays = {"x": rng.normal_array(rng.batch(), rng.channels(), *windows.size)}
    return Case(["--kernel", joined(windows.kernel)] + windows.arguments(), arrays, None,
                lambda a: matrix_of(windows, a["x"]))


@cases(50, 25, "col2im", oracle="onnxruntime")
def col2im(rng, name):
    """onnxruntime's has the taps as the fastest of a row."""
    windows = draw_windows(rng)
    batch, channels, outputs = rng.batch(), rng.channels(), math.prod(windows.count())
    taps = math.prod(windows.kernel)
    x = rng.normal_array(batch, taps * channels, outputs)

    def function(a):
        matrix = a["x"].reshape(batch, *windows.kernel, channels, *windows.count())
        room = [size + b + f for size, b, f in zip(windows.size, windows.before, windows.after)]
        image = np.zeros((batch, channels, *room))
        for tap in product(*map(range, windows.kernel)):
            at = tuple(slice(t * d, t * d + (n - 1) * s + 1, s)
                       for t, d, n, s in zip(tap, windows.dilation, windows.count(), windows.stride))
            image[(..., *at)] += matrix[(slice(None), *tap)]
        return image[(..., *(slice(b, b + size) for b, size in zip(windows.before, windows.size)))]
    arguments = ["--kernel", joined(windows.kernel), "--size", joined(windows.size)] + windows.arguments()
    turned = x.reshape(batch, taps, channels, outputs).swapaxes(1, 2).reshape(batch, -1, outputs)
    constants = {"size": np.array(windows.size), "block": np.array(windows.kernel)}
    attributes = {"strides": windows.stride, "dilations": windows.dilation, "pads": windows.before + windows.after}
    onnx = None
    if windows.axes == 2 or max(windows.dilation) == 1:
        onnx = run_onnx([("Col2Im", ["x", "size", "block"], attributes)], {"x": np.ascontiguousarray(turned)}, constants)
    return Case(arguments, {"x": x}, onnx, function)


@cases(60, 25, "dense", oracle="onnxruntime")
def dense(rng, name):
    inputs, units = rng.integers(1, [12, 6] if rng.small else [300, 70])
    word, nodes, after = draw_activation(rng)
    arrays = {"x": rng.normal_array(rng.integers(1, 4 if rng.small else 9), inputs), "w": scaled(rng.normal_array(units, inputs))}
    if rng.random() < 0.6:
        arrays["b"] = rng.normal_array(units)
    onnx = run_onnx([("Gemm", list(arrays), {"transB": 1})] + nodes, arrays)
    return Case(["--activation", word], arrays, onnx, lambda a: after(a["x"] @ a["w"].T + a.get("b", 0)))


# --- poolings ---


def has_empty_window(windows):
    """A maximum needs one value at least in each window, which the tool insists on."""
    inside = windows.taps(windows.pad(np.ones((1, 1, *windows.size))))
    return inside.sum(0).min() < 1


def draw_pooling(rng):
    """Windows, the tool's arguments for them, an input."""
    windows = draw_windows(rng, pooling=True)
    while has_empty_window(windows):
        windows = draw_windows(rng, pooling=True)
    x = rng.normal_array(rng.batch(), rng.channels(), *windows.size)
    return windows, ["--kernel", joined(windows.kernel)] + windows.arguments(), {"x": x}


def onnx_pools(windows):
    """Whether onnxruntime pools such windows as the field does."""
    same = windows.mode in ("same", "same_lower")
    return not same or (max(windows.dilation) == 1 and all(e >= s for e, s in zip(windows.extent(), windows.stride)))


@cases(200, 50, "max-pool", oracle="onnxruntime")
def max_pool(rng, name):
    windows, arguments, arrays = draw_pooling(rng)
    onnx = None
    if onnx_pools(windows):
        attributes = windows.attributes(auto_pad=True) | {"ceil_mode": int(windows.ceil)}
        onnx = run_onnx([("MaxPool", ["x"], attributes)], arrays)
    return Case(arguments, arrays, onnx, lambda a: windows.taps(windows.pad(a["x"], -np.inf)).max(0))


@cases(200, 50, "avg-pool", oracle="onnxruntime")
def average_pool(rng, name):
    """By the four divisors; onnxruntime knows the taps inside, and those inside input and padding."""
    windows, arguments, arrays = draw_pooling(rng)
    divisor = rng.one_of(["valid", "valid", "padded", "padded", "kernel", "7"])
    onnx = None
    if divisor in ("valid", "padded") and onnx_pools(windows):
        attributes = windows.attributes(auto_pad=True) | {"ceil_mode": int(windows.ceil),
                                                          "count_include_pad": int(divisor == "padded")}
        onnx = run_onnx([("AveragePool", ["x"], attributes)], arrays)

    def function(a):
        ones = np.ones((1, 1, *windows.size))
        if divisor == "padded":
            ones = np.pad(ones, [(0, 0), (0, 0)] + list(zip(windows.before, windows.after)), constant_values=1)
            reach = [max(0, int(n.max()) + 1 - size) for n, size in zip(windows.numbers(), ones.shape[2:])]
            ones = np.pad(ones, [(0, 0), (0, 0)] + [(0, r) for r in reach])
        else:
            ones = windows.pad(ones)
        by = windows.taps(ones).sum(0)
        by = math.prod(windows.kernel) if divisor == "kernel" else 7 if divisor == "7" else by
        return windows.taps(windows.pad(a["x"])).sum(0) / by
    return Case(arguments + ["--divisor", divisor], arrays, onnx, function)


def lp_norm(taps, p, axis=0):
    return (np.abs(taps) ** p).sum(axis) ** (1 / p)


@cases(80, 30, "lp-pool", oracle="onnxruntime")
def lp_pool(rng, name):
    windows, arguments, arrays = draw_pooling(rng)
    p, onnx = int(rng.integers(1, 5)), None
    if windows.mode not in ("same", "same_lower") and not windows.ceil:
        onnx = run_onnx([("LpPool", ["x"], windows.attributes(auto_pad=True) | {"p": p})], arrays)
    return Case(arguments + ["--exponent", str(p)], arrays, onnx,
                lambda a: lp_norm(windows.taps(windows.pad(a["x"])), p))


@cases(40, 25, "stochastic-pool", oracle="NumPy")
def stochastic_pool(rng, name):
    """The mean by the probabilities."""
    windows, arguments, arrays = draw_pooling(rng)
    arrays["x"] = np.abs(arrays["x"]) + np.float32(0.1) if rng.small else np.maximum(arrays["x"], 0)

    def function(a):
        taps = windows.taps(windows.pad(a["x"]))
        total = taps.sum(0)
        return (taps ** 2).sum(0) / np.where(total == 0, 1, total)
    return Case(arguments, arrays, None, function)


def uniform(count):
    """The numbers of a layer that draws: Philox 4x32-10 (Salmon et al. 2011) with key 0, counter (block, 1, 0, 0)."""
    low = np.uint64(0xffffffff)
    blocks = np.arange((count + 3) // 4, dtype=np.uint64)
    c = [blocks, np.full_like(blocks, 1), np.zeros_like(blocks), np.zeros_like(blocks)]
    k = [0, 0]
    for _ in range(10):
        p, q = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(q >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), q & low, (p >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), p & low]
        k = [(k[0] + 0x9E3779B9) % 2 ** 32, (k[1] + 0xBB67AE85) % 2 ** 32]
    return (np.stack(c, 1).reshape(-1)[:count] >> np.uint64(8)).astype(np.float64) * 2.0 ** -24


@cases(40, 20, "stochastic-pool", oracle="NumPy")
def drawn_pool(rng, name):
    """One of the window's values, by the same random numbers: one for each output, channels last."""
    windows, arguments, arrays = draw_pooling(rng)
    arrays["x"] = np.abs(arrays["x"])
    N, C, counts = *arrays["x"].shape[:2], windows.count()
    u = np.moveaxis(uniform(N * C * math.prod(counts)).reshape(N, *counts, C), -1, 1)
    seen = windows.taps(windows.pad(arrays["x"].astype(np.float64)))
    drawn = np.argmax(np.cumsum(seen, 0) > u * seen.sum(0), 0)
    return Case(arguments + ["--training"], arrays, None,
                lambda a: np.take_along_axis(windows.taps(windows.pad(a["x"])), drawn[None], 0)[0])


def pooled_spans(x, spans, pool):
    """pool of boxes: spans[axis] lists (begin, end)."""
    y = np.zeros((*x.shape[:2], *map(len, spans)))
    for o in product(*(range(len(s)) for s in spans)):
        box = x[(slice(None), slice(None), *(slice(*s[i]) for i, s in zip(o, spans)))]
        y[(slice(None), slice(None), *o)] = pool(box.reshape(*x.shape[:2], -1), -1)
    return y


@cases(50, 25, "adaptive-max-pool", "adaptive-avg-pool", oracle="NumPy")
def adaptive_pool(rng, name):
    size = rng.sizes(12)
    out = [int(rng.integers(1, n + 3)) for n in size]
    spans = [[(i * n // m, -(-(i + 1) * n // m)) for i in range(m)] for n, m in zip(size, out)]
    pool = np.mean if name == "adaptive-avg-pool" else np.max
    arrays = {"x": rng.normal_array(rng.batch(), rng.channels(), *size)}
    return Case(["--output-size", joined(out)], arrays, None, lambda a: pooled_spans(a["x"], spans, pool))


@cases(30, 15, "pyramid-max-pool", "pyramid-avg-pool", oracle="NumPy")
def pyramid(rng, name):
    size, levels = rng.sizes(9), [int(n) for n in rng.integers(1, 5, rng.integers(1, 4))]
    pool = np.mean if name == "pyramid-avg-pool" else np.max
    arrays = {"x": rng.normal_array(rng.batch(), rng.channels(), *size)}

    def function(a):
        rows = []
        for level in levels:
            spans = [[(i * n // level, -(-(i + 1) * n // level)) for i in range(level)] for n in size]
            rows.append(np.moveaxis(pooled_spans(a["x"], spans, pool), 1, -1).reshape(len(a["x"]), -1))
        return np.concatenate(rows, axis=1)
    return Case(["--levels", joined(levels, ",")], arrays, None, function)


@cases(40, 15, "max-unpool", oracle="onnxruntime")
def max_unpool(rng, name):
    """onnxruntime counts positions through all images and channels. Where two are the same it depends on the order."""
    size = rng.sizes(5)
    kernel = [int(k) for k in rng.integers(1, 4, len(size))]
    x = rng.normal_array(rng.batch(), rng.channels(), *size)
    plane = math.prod(n * k for n, k in zip(size, kernel))
    places = np.stack([rng.permutation(plane)[:math.prod(size)] for _ in range(len(x) * x.shape[1])])
    arrays = {"x": x, "positions": places.reshape(x.shape).astype(np.int32)}

    def function(a):
        y = np.zeros((len(places), plane))
        np.put_along_axis(y, places, a["x"].reshape(places.shape), 1)
        return y.reshape(*x.shape[:2], *(n * k for n, k in zip(size, kernel)))
    everywhere = (places + plane * np.arange(len(places))[:, None]).reshape(x.shape)
    onnx = run_onnx([("MaxUnpool", ["x", "at"], {"kernel_shape": kernel, "strides": kernel})], {"x": x}, {"at": everywhere})
    return Case(["--kernel", joined(kernel)], arrays, onnx, function)


# --- regions of interest ---


def draw_regions(rng, x, scale):
    regions = np.zeros((int(rng.integers(1, 5)), 5))
    for row in regions:
        width, height = x.shape[3], x.shape[2]
        row[0] = rng.integers(len(x))
        row[1:3] = rng.uniform(-2, [width, height])
        row[3:5] = row[1:3] + rng.uniform(0.2, [width + 2, height + 2])
    regions[:, 1:] /= scale
    return regions.astype(np.float32)


def draw_region_case(rng, outputs):
    x = rng.normal_array(rng.batch(), rng.channels(), *rng.sizes(12, 2))
    scale = float(rng.one_of([1, 0.5, 0.25]))
    out = [int(rng.one_of(outputs)) for _ in range(2)]
    arrays = {"x": x, "rois": draw_regions(rng, x, scale)}
    return arrays, scale, out, ["--spatial-scale", str(scale), "--output-size", joined(out)]


def pool_regions(a, out, pool):
    """pool(the image of a region, the region, o) for each bin."""
    y = np.zeros((len(a["rois"]), a["x"].shape[1], *out))
    for r, region in enumerate(a["rois"].astype(np.float64)):
        for o in product(*map(range, out)):
            y[(r, slice(None), *o)] = pool(a["x"][int(region[0])], region, o)
    return y


@cases(50, 20, "max-roi-pool", oracle="onnxruntime")
def max_roi_pool(rng, name):
    """onnxruntime divides in single precision, which is exact for powers of two."""
    arrays, scale, out, arguments = draw_region_case(rng, [1, 2, 4])

    def largest(image, region, o):
        spans = []
        for n, first, last, of, i in zip(image.shape[1:], region[[2, 1]], region[[4, 3]], out, o):
            begin, end = (math.floor(abs(v * scale) + 0.5) * (1 if v > 0 else -1) for v in (first, last))
            extent = max(end - begin + 1, 1)
            spans.append(slice(*np.clip([begin + i * extent // of, begin - (-(i + 1) * extent // of)], 0, n)))
        window = image[(slice(None), *spans)].reshape(len(image), -1)
        return window.max(1) if window.size else 0
    onnx = run_onnx([("MaxRoiPool", ["x", "rois"], {"pooled_shape": out, "spatial_scale": scale})], arrays)
    return Case(arguments, arrays, onnx, lambda a: pool_regions(a, out, largest))


@cases(80, 30, "roi-align", oracle="onnxruntime")
def roi_align(rng, name):
    """The maximum of onnxruntime is that of single pixels times their weights; that of interpolated values is NumPy's."""
    arrays, scale, out, arguments = draw_region_case(rng, [1, 2, 3])
    sampling, half = int(rng.integers(0, 4)), rng.random() < 0.5
    mode = rng.one_of(["avg", "avg", "max", "corners"])
    arguments += ["--sampling", str(sampling)] if sampling else []
    arguments += ([] if half else ["--output-half-pixel"]) + {"avg": [], "max": ["--max"],
                                                              "corners": ["--max", "--max-of-corners"]}[mode]

    def points(n, first, last, of, i):
        begin = first * scale - half / 2
        extent = (last - first) * scale if half else max((last - first) * scale, 1)
        many = sampling or math.ceil(extent / of)
        return begin + extent / of * (i + (np.arange(many) + 0.5) / many)

    def values(image, y, x):
        if not (-1 <= y <= image.shape[1] and -1 <= x <= image.shape[2]):
            return np.zeros((4, len(image)))
        corners = []
        for n, p in zip(image.shape[1:], (y, x)):
            p = min(max(p, 0), n - 1)
            low = min(math.floor(p), n - 1)
            corners.append([(low, 1 - (p - low)), (min(low + 1, n - 1), p - low)])
        return np.stack([image[:, i, j] * v * w for i, v in corners[0] for j, w in corners[1]])

    def align(image, region, o):
        ys, xs = (points(n, first, last, of, i) for n, first, last, of, i in
                  zip(image.shape[1:], region[[2, 1]], region[[4, 3]], out, o))
        found = [values(image, y, x) for y in ys for x in xs]
        if not found:
            return 0
        if mode == "corners":
            return np.max(found, axis=(0, 1))
        return (np.mean if mode == "avg" else np.max)(np.sum(found, axis=1), axis=0)
    onnx = None
    if mode != "max":
        attributes = {"mode": "avg" if mode == "avg" else "max", "output_height": out[0], "output_width": out[1],
                      "sampling_ratio": sampling, "spatial_scale": scale,
                      "coordinate_transformation_mode": "half_pixel" if half else "output_half_pixel"}
        boxes = {"boxes": arrays["rois"][:, 1:].copy(), "images": arrays["rois"][:, 0].astype(np.int64)}
        onnx = run_onnx([("RoiAlign", ["x", "boxes", "images"], attributes)], {"x": arrays["x"]}, boxes)
    return Case(arguments, arrays, onnx, lambda a: pool_regions(a, out, align))


@cases(40, 20, "fractional-max-pool", oracle="NumPy")
def tensorflow_fractional_pool(rng, name):
    """fractional_pool_common.cc: boundaries ceil(a*(i+u)), u such that all windows have k or k+1 positions."""
    size, overlapping = rng.sizes(14), bool(rng.integers(2))
    out = [int(rng.integers(1, n + 1)) for n in size]
    spans = []
    for n, m, u in zip(size, out, uniform(3)[3 - len(size):]):
        a, k = n / m, n // m
        most = min((k + 2) / a - 1, (n + 1 - k) / a - (m - 1))
        at = [i * k if n % m == 0 else math.ceil(a * (i + u * most)) - 1 for i in range(m)] + [n]
        at[0] = 0
        spans.append([(b, min(n, e + overlapping)) for b, e in zip(at, at[1:])])
    arrays = {"x": rng.normal_array(rng.batch(), rng.channels(), *size)}
    arguments = ["--fractional", "tensorflow", "--output-size", joined(out)] + (["--overlapping"] if overlapping else [])
    return Case(arguments, arrays, None, lambda a: pooled_spans(a["x"], spans, np.max))


@cases(40, 20, "fractional-max-pool", oracle="NumPy")
def pytorch_fractional_pool(rng, name):
    """FractionalMaxPool2d.cpp: windows at int((i+u)*a) - int(u*a), u for each image, channel and axis."""
    size = rng.sizes(12)
    kernel = [int(rng.integers(1, min(n, 4) + 1)) for n in size]
    out = [int(rng.integers(1, n - k + 2)) for n, k in zip(size, kernel)]
    x = rng.normal_array(rng.batch(), rng.channels(), *size)
    N, C = x.shape[:2]
    u = uniform(N * C * 3).reshape(N, C, 3)[:, :, 3 - len(size):]

    def begins(n, k, m, u):
        a = (n - k) / (m - 1) if m > 1 else 0
        return [int((i + u) * a) - int(u * a) for i in range(m - 1)] + [n - k]
    spans = {(i, c): [[(b, b + k) for b in begins(n, k, m, at)] for n, k, m, at in zip(size, kernel, out, u[i, c])]
             for i in range(N) for c in range(C)}

    def function(a):
        return np.concatenate([np.concatenate([pooled_spans(a["x"][i:i + 1, c:c + 1], spans[i, c], np.max)
                                               for c in range(C)], 1) for i in range(N)], 0)
    arguments = ["--fractional", "pytorch", "--kernel", joined(kernel), "--output-size", joined(out)]
    return Case(arguments, {"x": x}, None, function)


@cases(25, 12, "global-max-pool", "global-avg-pool", "global-lp-pool", oracle="onnxruntime")
def global_pool(rng, name):
    operator, pool = {"global-max-pool": ("GlobalMaxPool", np.max), "global-avg-pool": ("GlobalAveragePool", np.mean),
                      "global-lp-pool": ("GlobalLpPool", lambda x, axis: lp_norm(x, 2, axis))}[name]
    arrays = {"x": rng.normal_array(rng.batch(), rng.channels(), *rng.sizes(9))}
    return Case([], arrays, run_onnx([(operator, ["x"], {})], arrays),
                lambda a: pool(a["x"].reshape(*a["x"].shape[:2], -1), -1).reshape(
                    *a["x"].shape[:2], *[1] * (a["x"].ndim - 2)))


# --- where pixels go ---


def draw_image(rng, most=9):
    return rng.normal_array(rng.batch(), rng.channels(), *rng.sizes(most))


@cases(60, 25, "pad", oracle="onnxruntime")
def pad(rng, name):
    x, values = draw_image(rng), rng.one_of(list(PAD_VALUES))
    most = {"reflect": lambda n: n - 1, "circular": lambda n: n}.get(values, lambda n: 5)
    before, after = ([int(rng.integers(0, most(n) + 1)) for n in x.shape[2:]] for _ in range(2))
    arguments = ["--padding", joined(before + after, ","), "--pad-values", values]
    around, attributes, inputs = [(0, 0), (0, 0), *zip(before, after)], {"mode": PAD_VALUES[values]}, ["x", "pads"]
    constants, more = {"pads": np.array([0, 0] + before + [0, 0] + after)}, {}
    if values == "constant":
        inputs, constants["value"], more = inputs + ["value"], np.float32(0.75), {"constant_values": 0.75}
        arguments += ["--constant", "0.75"]
    onnx = run_onnx([("Pad", inputs, attributes)], {"x": x}, constants)
    return Case(arguments, {"x": x}, onnx, lambda a: np.pad(a["x"], around, mode=PAD_VALUES[values], **more))


def resized_axis(n, size, scale, mode, coordinates, rounding):
    """The matrix [outputs, inputs] of one axis. A scale that was given in single precision is reckoned with in it."""
    o = np.arange(size, dtype=scale.dtype)
    at = {"half_pixel": (o + 0.5) / scale - 0.5, "asymmetric": o / scale,
          "align_corners": np.arange(size) * (n - 1) / (size - 1) if size > 1 else np.zeros(1),
          "pytorch_half_pixel": (o + 0.5) / scale - 0.5 if size > 1 else np.zeros(1)}[coordinates]
    matrix, o = np.zeros((size, n)), np.arange(size)
    if mode == "nearest":
        index = {"round_prefer_floor": np.ceil(at - 0.5), "round_prefer_ceil": np.floor(at + 0.5), "floor": np.floor(at),
                 "ceil": np.ceil(at)}[rounding]
        matrix[o, np.clip(index, 0, n - 1).astype(int)] = 1
        return matrix
    at = np.clip(at, 0, n - 1)
    low = np.minimum(np.floor(at), n - 1).astype(int)
    np.add.at(matrix, (o, low), 1 - (at - low))
    np.add.at(matrix, (o, np.minimum(low + 1, n - 1)), at - low)
    return matrix


@cases(90, 30, "resize", oracle="onnxruntime")
def resize(rng, name):
    x = draw_image(rng)
    mode, coordinates = rng.one_of(["nearest", "linear"]), rng.one_of(
        ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
    rounding = rng.one_of(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    arguments = ["--interpolation", mode, "--coordinates", coordinates, "--rounding", rounding]
    scale = rng.choice([0.5, 0.6, 0.75, 1.25, 1.5, 2, 2.5, 3], x.ndim - 2).astype(np.float32)
    size = np.floor(scale * np.float32(x.shape[2:])).astype(np.int64)
    if 0 in size or tuple(size) == x.shape[2:]:
        return resize(rng, name)
    if rng.random() < 0.5 and mode == "linear":
        inputs, constants = ["x", "", "", "sizes"], {"sizes": np.array([*x.shape[:2], *size])}
        arguments += ["--size", joined(size)]
        scale = size / np.array(x.shape[2:])
    else:
        inputs, constants = ["x", "", "scales"], {"scales": np.array([1, 1, *scale], np.float32)}
        arguments += ["--scale", joined(scale)]
    matrices = [resized_axis(n, int(s), f, mode, coordinates, rounding)
                for n, s, f in zip(x.shape[2:], size, scale)]

    def function(a):
        y = a["x"]
        for axis, matrix in enumerate(matrices):
            y = np.moveaxis(np.tensordot(matrix, y, (1, axis + 2)), 0, axis + 2)
        return y
    return Case(arguments, {"x": x}, run_onnx([("Resize", inputs, attributes)], {"x": x}, constants), function)


def shuffled(x, block, order, axes, deep):
    """Channels become blocks of pixels (deep: what comes is deep), or the reverse."""
    N, blocks = x.shape[0], [block] * axes
    space = x.shape[2:] if deep else [n // block for n in x.shape[2:]]
    C = x.shape[1] // block ** axes if deep else x.shape[1]
    pairs = [n for pair in zip(range(2, 2 + axes), range(2 + axes, 2 + 2 * axes)) for n in pair]  # of N,C,space,block
    if deep:
        first = (N, *blocks, C, *space) if order == "dcr" else (N, C, *blocks, *space)
        b = 1 if order == "dcr" else 2
        parts = x.reshape(first).transpose(0, 1 + axes if order == "dcr" else 1, *range(2 + axes, 2 + 2 * axes),
                                           *range(b, b + axes))
        return parts.transpose(0, 1, *pairs).reshape(N, C, *(n * block for n in space))
    wide = x.reshape(N, C, *(n for pair in zip(space, blocks) for n in pair))
    of_space, of_block = range(2, 2 + 2 * axes, 2), range(3, 2 + 2 * axes, 2)
    parts = wide.transpose(0, *of_block, 1, *of_space) if order == "dcr" else wide.transpose(0, 1, *of_block, *of_space)
    return parts.reshape(N, -1, *space)


@cases(40, 15, "depth-to-space", "space-to-depth", oracle="onnxruntime")
def pixel_shuffle(rng, name):
    """onnxruntime has those of images, and the reverse in one order."""
    block, order, deep = int(rng.integers(1, 4)), rng.one_of(["dcr", "crd"]), name == "depth-to-space"
    x = draw_image(rng, 5)
    axes = x.ndim - 2
    x = np.tile(x, (1, block ** axes, *[1] * axes) if deep else (1, 1, *[block] * axes))
    x = rng.normal_array(*x.shape)
    onnx = None
    if axes == 2 and deep:
        onnx = run_onnx([("DepthToSpace", ["x"], {"blocksize": block, "mode": order.upper()})], {"x": x})
    elif axes == 2 and order == "dcr":
        onnx = run_onnx([("SpaceToDepth", ["x"], {"blocksize": block})], {"x": x})
    return Case(["--block", str(block), "--order", order], {"x": x}, onnx,
                lambda a: shuffled(a["x"], block, order, axes, deep))


def last_axis(axis, rank):
    """The number of a channels-first axis in the order N, space, C."""
    return axis if rank < 3 or axis == 0 else rank - 1 if axis == 1 else axis - 1


def draw_shape(rng):
    return [int(n) for n in rng.integers(1, 4 if rng.small else 7, rng.integers(1, 5 if rng.small else 6))]


@cases(40, 0, "concat", oracle="onnxruntime")
def concat(rng, name):
    shape = draw_shape(rng)
    axis = int(rng.integers(len(shape)))
    other = shape[:axis] + [int(rng.integers(1, 7))] + shape[axis + 1:]
    arrays = {"x": rng.normal_array(*shape), "second": rng.normal_array(*other)}
    return Case(["--axis", str(last_axis(axis, len(shape)))], arrays,
                run_onnx([("Concat", ["x", "second"], {"axis": axis})], arrays))


@cases(40, 15, "slice", oracle="onnxruntime")
def cut(rng, name):
    shape = draw_shape(rng)
    axis = int(rng.integers(len(shape)))
    begin = int(rng.integers(shape[axis]))
    count = int(rng.integers(1, shape[axis] - begin + 1))
    arrays = {"x": rng.normal_array(*shape)}
    arguments = ["--axis", str(last_axis(axis, len(shape))), "--begin", str(begin), "--count", str(count)]
    constants = {"from": np.array([begin]), "to": np.array([begin + count]), "axis": np.array([axis])}
    onnx = run_onnx([("Slice", ["x", "from", "to", "axis"], {})], arrays, constants)
    return Case(arguments, arrays, onnx, lambda a: np.take(a["x"], range(begin, begin + count), axis))


# --- elements and reductions ---


@cases(30, 10, "add", "sub", "mul", "div", "min", "max", "pow", oracle="onnxruntime")
def binary(rng, name):
    """With broadcasting; of the same rank, so that both layouts mean the same axes."""
    function = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "min": np.minimum,
                "max": np.maximum, "pow": np.power}[name]
    shape = draw_shape(rng)
    x, second = (rng.normal_array(*(1 if rng.random() < 0.4 else n for n in shape)) for _ in range(2))
    if name == "pow":
        x = np.abs(x) + np.float32(0.1)
    if name == "div":
        second = np.sign(second) * (np.abs(second) + np.float32(0.1))
    arrays = {"x": x, "second": second}
    onnx = run_onnx([(name.capitalize(), ["x", "second"], {})], arrays)
    return Case([], arrays, onnx, lambda a: function(a["x"], a["second"]))


REDUCTIONS = {"sum": ("ReduceSum", np.sum), "mean": ("ReduceMean", np.mean), "max": ("ReduceMax", np.max),
              "min": ("ReduceMin", np.min), "product": ("ReduceProd", np.prod),
              "l1": ("ReduceL1", lambda x, **by: np.abs(x).sum(**by)),
              "l2": ("ReduceL2", lambda x, **by: np.sqrt((x * x).sum(**by)))}


@cases(100, 40, "reduce", oracle="onnxruntime")
def reduction(rng, name):
    kind = rng.one_of(list(REDUCTIONS))
    operator, reduce = REDUCTIONS[kind]
    arrays = {"x": rng.normal_array(*draw_shape(rng))}
    if kind == "product":  # that stays a number
        arrays["x"] = np.sign(arrays["x"]) * (np.abs(arrays["x"]) / 10 + np.float32(0.9))
    rank = arrays["x"].ndim
    axes = [a for a in range(rank) if rng.random() < 0.5] or [0]
    arguments = ["--kind", kind, "--keep", "--axes", joined((last_axis(a, rank) for a in axes), ",")]
    onnx = run_onnx([(operator, ["x", "axes"], {"keepdims": 1})], arrays, {"axes": np.array(axes)})
    return Case(arguments, arrays, onnx, lambda a: reduce(a["x"], axis=tuple(axes), keepdims=True))


@cases(40, 20, "prelu", oracle="onnxruntime")
def prelu(rng, name):
    x = rng.normal_array(*rng.integers(1, 4 if rng.small else 7, rng.integers(2, 5)))
    slope = rng.normal_array(x.shape[1])
    of_channel = [-1] + [1] * (x.ndim - 2)
    onnx = run_onnx([("PRelu", ["x", "slope"], {})], {"x": x, "slope": slope.reshape(of_channel)})
    return Case([], {"x": x, "scale": slope}, onnx,
                lambda a: np.where(a["x"] < 0, a["scale"].reshape(of_channel) * a["x"], a["x"]))


# --- normalisations ---


def of_channels(v, x):
    return v.reshape(1, -1, *[1] * (x.ndim - 2))


def normalised(x, axes, epsilon, scale, bias):
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * of_channels(scale, x) + of_channels(bias, x)


def draw_normalisation(rng):
    """epsilon, arrays; where slopes are wanted, neighbours that differ: those of nearly constant groups have few digits."""
    sizes = rng.integers(*([3, 5] if rng.small else [2, 7]), rng.integers(1, 3 if rng.small else 4))
    x = rng.normal_array(rng.integers(1, 3 if rng.small else 5), rng.choice([3, 4] if rng.small else [1, 3, 4, 8, 17]),
                         *sizes)
    if rng.small:
        x = x * np.float32(0.3) + (np.indices(x.shape).sum(0) % 2).astype(np.float32) * 2
    arrays = {"x": x, "scale": rng.normal_array(x.shape[1]), "b": rng.normal_array(x.shape[1])}
    return float(np.float32(rng.choice([1e-5, 0.01]))), arrays


@cases(40, 20, "batch-norm", oracle="onnxruntime")
def batch_norm(rng, name):
    epsilon, arrays = draw_normalisation(rng)
    C = arrays["x"].shape[1]
    arrays |= {"mean": rng.normal_array(C), "variance": np.abs(rng.normal_array(C)) + np.float32(0.1)}
    onnx = run_onnx([("BatchNormalization", list(arrays), {"epsilon": epsilon})], arrays)

    def function(a):
        x, scale, bias, mean, variance = (of_channels(a[k], a["x"]) if k != "x" else a["x"]
                                          for k in ["x", "scale", "b", "mean", "variance"])
        return (x - mean) / np.sqrt(variance + epsilon) * scale + bias
    return Case(["--epsilon", str(epsilon)], arrays, onnx, function)


@cases(40, 20, "instance-norm", oracle="onnxruntime")
def instance_norm(rng, name):
    epsilon, arrays = draw_normalisation(rng)
    onnx = run_onnx([("InstanceNormalization", list(arrays), {"epsilon": epsilon})], arrays)
    axes = tuple(range(2, arrays["x"].ndim))
    return Case(["--epsilon", str(epsilon)], arrays, onnx,
                lambda a: normalised(a["x"], axes, epsilon, a["scale"], a["b"]))


@cases(40, 20, "layer-norm", oracle="onnxruntime")
def layer_norm(rng, name):
    epsilon, arrays = draw_normalisation(rng)
    turned = arrays | {"x": np.ascontiguousarray(np.moveaxis(arrays["x"], 1, -1))}
    onnx = run_onnx([("LayerNormalization", list(turned), {"epsilon": epsilon, "axis": -1})], turned)
    return Case(["--epsilon", str(epsilon)], arrays, np.moveaxis(onnx, -1, 1),
                lambda a: normalised(a["x"], 1, epsilon, a["scale"], a["b"]))


@cases(40, 20, "group-norm", oracle="NumPy")
def group_norm(rng, name):
    epsilon, arrays = draw_normalisation(rng)
    N, C, *space = arrays["x"].shape
    groups = int(rng.choice([g for g in range(1, C + 1) if C % g == 0]))

    def function(a):
        x = a["x"].reshape(N, groups, -1)
        x = (x - x.mean(2, keepdims=True)) / np.sqrt(x.var(2, keepdims=True) + epsilon)
        return x.reshape(N, C, *space) * of_channels(a["scale"], a["x"]) + of_channels(a["b"], a["x"])
    return Case(["--epsilon", str(epsilon), "--groups", str(groups)], arrays, None, function)


@cases(40, 20, "lrn", oracle="onnxruntime")
def lrn(rng, name):
    """onnxruntime takes odd sizes alone."""
    size, (alpha, beta, bias) = int(rng.integers(1, 8)), (float(np.float32(v)) for v in rng.uniform(0.1, 2, 3))
    arrays = {"x": rng.normal_array(*rng.integers(1, 4 if rng.small else 9, 4))}
    onnx = None
    if size % 2:
        onnx = run_onnx([("LRN", ["x"], {"size": size, "alpha": alpha, "beta": beta, "bias": bias})], arrays)
    arguments = ["--channels", str(size), "--alpha", str(alpha), "--beta", str(beta), "--base", str(bias)]

    def function(a):
        C = a["x"].shape[1]
        squares = [(a["x"][:, max(0, c - (size - 1) // 2):min(C, c + size // 2 + 1)] ** 2).sum(1) for c in range(C)]
        return a["x"] / (bias + alpha / size * np.stack(squares, 1)) ** beta
    return Case(arguments, arrays, onnx, function)


# --- losses: their gradients are asked in the same call ---


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


def draw_parameter(rng, name):
    if name not in ["softmax-cross-entropy", "focal", "huber"]:
        return 0.0, []
    parameter = float(np.float32(rng.uniform(0.1, 0.9)))
    return parameter, ["--alpha", str(parameter)]


@cases(30, 30, "softmax-cross-entropy", "focal", "hinge", oracle="NumPy")
def loss_of_classes(rng, name):
    parameter, arguments = draw_parameter(rng, name)
    x = rng.normal_array(rng.integers(1, 7), rng.integers(2, 12 if rng.small else 40))
    arrays = {"x": x, "target": rng.integers(0, x.shape[1], len(x)).astype(np.int32)}
    weights = np.ones(x.shape[1])
    if name == "softmax-cross-entropy" and rng.random() < 0.5:
        arrays["scale"] = rng.uniform(0.1, 3, x.shape[1]).astype(np.float32)
        weights = arrays["scale"].astype(np.float64)
    return Case(arguments, arrays, None,
                lambda a: np.array([class_loss(name, a["x"], arrays["target"], parameter, weights)]))


@cases(30, 30, "mean-squared-error", "binary-cross-entropy", "huber", oracle="NumPy")
def loss_of_values(rng, name):
    delta, arguments = draw_parameter(rng, name)
    x = rng.normal_array(*draw_shape(rng))
    arrays = {"x": x, "target": rng.uniform(0, 1, x.shape).astype(np.float32)}
    target = arrays["target"].astype(np.float64)

    def function(a):
        if name == "binary-cross-entropy":
            return np.array([(softplus(a["x"]) - a["x"] * target).mean()])
        if name == "mean-squared-error":
            return np.array([((a["x"] - target) ** 2).mean()])
        far = np.abs(a["x"] - target)
        return np.array([np.where(far <= delta, far ** 2 / 2, delta * (far - delta / 2)).mean()])
    return Case(arguments, arrays, None, function)


# --- where the peers depart from the rules: what they say, and what must come out ---


def in_row(values):
    return np.array(values, np.float32).reshape(1, 1, -1)


UP_TO_8 = {"x": in_row(range(1, 9))}
PAIRS = {"kernel_shape": [2], "strides": [1], "dilations": [3]}  # with distance 3
PAIR_ARGUMENTS = ["--stride", "1", "--dilation", "3"]


def by_evaluator(nodes, arrays, constants):
    return ReferenceEvaluator(onnx_model(nodes, arrays, constants)).run(None, arrays)[0]


# what it is about; the tool's operation, arguments and arrays; the rule's answer; the peer, the ONNX operator, its
# attributes and further inputs
DEPARTURES = [
    ("SAME with a kernel below the stride", "max-pool", ["--kernel", "1", "--stride", "3", "--padding", "same"], UP_TO_8,
     [1, 4, 7], run_onnx, "MaxPool", {"kernel_shape": [1], "strides": [3], "auto_pad": "SAME_UPPER"}, {}),
    ("SAME with dilation", "max-pool", ["--kernel", "2", "--padding", "same"] + PAIR_ARGUMENTS, UP_TO_8,
     [3, 4, 5, 6, 7, 8, 6, 7], run_onnx, "MaxPool", PAIRS | {"auto_pad": "SAME_UPPER"}, {}),
    ("SAME with dilation", "avg-pool", ["--kernel", "2", "--padding", "same"] + PAIR_ARGUMENTS, UP_TO_8,
     [3, 2.5, 3.5, 4.5, 5.5, 6.5, 6, 7], run_onnx, "AveragePool", PAIRS | {"auto_pad": "SAME_UPPER"}, {}),
    ("SAME with dilation", "conv", ["--padding", "same"] + PAIR_ARGUMENTS, UP_TO_8 | {"w": in_row([1, 1])},
     [3, 5, 7, 9, 11, 13, 6, 7], run_onnx, "Conv", PAIRS | {"auto_pad": "SAME_UPPER"}, {}),
    ("padding between kernel and window", "max-pool", ["--kernel", "2", "--padding", "3,0"] + PAIR_ARGUMENTS,
     {"x": in_row([1, 2, 3, 4])}, [1, 2, 3, 4], run_onnx, "MaxPool", PAIRS | {"pads": [3, 0]}, {}),
    ("NaN stays, wherever it stands", "max-pool", ["--kernel", "3"], {"x": in_row([1, np.nan, 3])}, [np.nan], run_onnx,
     "MaxPool", {"kernel_shape": [3]}, {}),
    ("SAME transposed with a window below the stride", "conv-transpose", ["--stride", "3", "--padding", "same"],
     {"x": in_row([1, 2, 3]), "w": in_row([1, 1])}, [1, 1, 0, 2, 2, 0, 3, 3, 0], run_onnx, "ConvTranspose",
     {"kernel_shape": [2], "strides": [3], "auto_pad": "SAME_UPPER"}, {}),
    ("two channels in one axis with dilation", "col2im", ["--kernel", "2", "--dilation", "2", "--size", "4"],
     {"x": np.array([[[1, 2], [3, 4], [3, 4], [5, 6]]], np.float32)}, [1, 2, 3, 4, 3, 4, 5, 6], run_onnx, "Col2Im",
     {"dilations": [2]}, {"size": np.array([4]), "block": np.array([2])}),
    ("windows rounded up by two cells", "avg-pool", ["--kernel", "4", "--stride", "3", "--ceil"],
     {"x": in_row(range(1, 6))}, [2.5, 4.5], by_evaluator, "AveragePool",
     {"kernel_shape": [4], "strides": [3], "ceil_mode": 1}, {}),
    ("windows rounded up", "lp-pool", ["--kernel", "2", "--stride", "2", "--ceil"], {"x": in_row(range(1, 6))},
     [math.sqrt(5), 5, 5], by_evaluator, "LpPool", {"kernel_shape": [2], "strides": [2], "ceil_mode": 1, "p": 2}, {}),
]


def check_departures(tool, folder):
    """How many of our answers are wrong. A peer that has come to agree is told, and no failure."""
    failed = 0
    for about, operation, arguments, arrays, right, peer, operator, attributes, constants in DEPARTURES:
        name = "onnxruntime" if peer is run_onnx else "ONNX's evaluator"
        try:
            answer = peer([(operator, [*arrays, *constants], attributes)], arrays, constants).reshape(-1)
        except Exception as error:  # whatever a peer raises
            answer = str(error).splitlines()[0][-100:]
        agrees = isinstance(answer, np.ndarray) and np.array_equal(answer, np.float32(right), equal_nan=True)
        print(f"{operation}, {about}: {right}; {name} {'agrees by now' if agrees else f'departs: {answer}'}")
        for layout in ["nhwc", "nchw"]:
            try:
                got = run_tool(tool, folder, operation, arguments, arrays, ["y"], layout)["y"].reshape(-1)
                good = got.shape == (len(right),) and np.allclose(got, right, rtol=1e-6, atol=0, equal_nan=True)
            except RuntimeError as error:
                got, good = error, False
            if not good:
                print(f"    wrong in {layout}: {got}")
                failed += 1
    return failed


# --- running ---


def in_double(arrays):
    return {name: array.astype(np.float64) if array.dtype == np.float32 else array for name, array in arrays.items()}


def slopes(function, arrays, name, grad, step=1e-5):
    """The gradient of sum(function(arrays) * grad) by an array, from differences."""
    result = np.zeros(arrays[name].shape)
    there = arrays | {name: arrays[name].copy()}
    for at in np.ndindex(result.shape):
        values = []
        for sign in (1, -1):
            there[name][at] = arrays[name][at] + sign * step
            values.append((function(there) * grad).sum())
        there[name][at] = arrays[name][at]
        result[at] = (values[0] - values[1]) / (2 * step)
    return result


def backward(rng, case, is_loss):
    """What the gradients of the case must be; its gradient behind the operation is drawn."""
    arrays = in_double(case.arrays)
    y = case.function(arrays)
    if is_loss:
        grad = np.ones(1, np.float32)
    else:
        grad = case.arrays["grad"] = rng.normal_array(*y.shape)
    wanted = [name for name in GRADIENTS if name in arrays and not (is_loss and name != "x")]
    return {GRADIENTS[name]: slopes(case.function, arrays, name, grad.astype(np.float64)) for name in wanted}


def difference(got, expected, least=0):
    """None, or what is wrong; numbers below `least` count as that large."""
    if got.shape != expected.shape:
        return f"shape {got.shape}, expected {expected.shape}"
    if expected.size == 0:
        return None
    largest = max(np.abs(expected).max(), least) or 1
    error = np.abs(got - expected).max() / largest
    return None if error <= TOLERANCE else f"error {error:.3g} of the largest value {largest:.6g}"


def compare(tool, folder, operation, case, expected):
    """Both layouts of the tool against what is expected: what is wrong."""
    wrong = []
    for layout in ["nhwc", "nchw"]:
        try:
            got = run_tool(tool, folder, operation, case.arguments, case.arrays, list(expected), layout)
            # A slope that is next to nothing, as that of a saturated tanh, has the rounding of what it is made of.
            least = 0.1 * np.abs(case.arrays["grad"]).max() if "grad" in case.arrays else 0
            found = {name: difference(got[name], expected[name], least) for name in expected}
            wrong += [f"{layout} {name}: {text}" for name, text in found.items() if text]
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            wrong.append(f"{layout}: {error}")
    shapes = " ".join(f"{name} {joined(array.shape)}" for name, array in case.arrays.items())
    return [f"{operation} {' '.join(case.arguments)} of {shapes} (nchw): {text}" for text in wrong]


def check(tool, folder, seed, number, entry, is_backward):
    """What is wrong with a case, and whether onnxruntime was asked."""
    operation, draw = entry[:2]
    rng = Draws([seed, number], is_backward)
    case = draw(rng, operation)
    if is_backward:
        return compare(tool, folder, operation, case, backward(rng, case, "target" in case.arrays)), False
    expected = case.onnx if case.onnx is not None else case.function(in_double(case.arrays))
    wrong = compare(tool, folder, operation, case, {"y": expected})
    if case.onnx is not None and case.function:
        other = difference(case.function(in_double(case.arrays)), expected)
        wrong += [f"{operation} {' '.join(case.arguments)}: NumPy against onnxruntime: {other}"] if other else []
    return wrong, case.onnx is not None


def numbered(scale):
    """Each case's entry, and whether it is a backward one."""
    return [(entry, is_backward) for entry in DRAWN for is_backward, count in [(False, entry[3]), (True, entry[4])]
            for _ in range(math.ceil(count * scale))]


def print_counts(forward, backward_, asked):
    print(f"{'operation':<24}{'forward':>8}{'backward':>10}  forward against onnxruntime")
    for operation in sorted(forward | backward_):
        print(f"{operation:<24}{forward[operation]:>8}{backward_[operation]:>10}{asked[operation]:>8}")


def unasked(forward, asked):
    """Operations whose oracle is another than the one that they name."""
    named = {}
    for operation, _, oracle, *_ in DRAWN:
        named.setdefault(operation, set()).add(oracle)
    return [f"{operation}: compared with onnxruntime {asked[operation]} times, but its oracle is {' and '.join(names)}"
            for operation, names in named.items() if ("onnxruntime" in names) != (asked[operation] > 0)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool", type=Path)
    parser.add_argument("--scale", type=float, default=1, help="so many times as many cases")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="this case alone")
    options = parser.parse_args()
    todo = numbered(options.scale)
    print(f"seed {options.seed}, onnxruntime {onnxruntime.__version__}, numpy {np.__version__}: {len(todo)} cases")
    counts = {False: Counter(), True: Counter()}
    asked = Counter()
    with tempfile.TemporaryDirectory() as folder:
        failed = check_departures(options.tool.resolve(), Path(folder)) if options.only is None else 0
        for number, (entry, is_backward) in enumerate(todo):
            if options.only not in (None, number):
                continue
            wrong, by_onnx = check(options.tool.resolve(), Path(folder), options.seed, number, entry, is_backward)
            for text in wrong:
                print(f"case {number}: {text}")
            counts[is_backward][entry[0]] += 1
            asked[entry[0]] += by_onnx
            failed += bool(wrong)
    total = counts[False].total() + counts[True].total()
    if options.only is None:
        print_counts(counts[False], counts[True], asked)
        for text in unasked(counts[False], asked):
            print(text)
            failed += 1
        if total < LEAST_CASES * min(1, options.scale):
            print(f"{total} cases, but there must be {LEAST_CASES}")
            failed += 1
    print(f"{total} cases, {failed} failed")
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
