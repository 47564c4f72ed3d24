"""Cases: convolutions, the matrices of their windows, and dense layers."""
import math
from itertools import product

import numpy as np

from activations import draw_activation
from cases import Case, cases, joined
from systems import run_onnx
from windows import PAD_VALUES, draw_padded_windows, draw_windows


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
    windows, values = draw_padded_windows(rng)
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
