"""Cases: poolings, and max unpooling."""
import math
from itertools import product

import numpy as np

from cases import Case, cases, joined
from systems import run_onnx
from windows import PAD_VALUES, draw_padded_windows, draw_windows


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


@cases(60, 0, "max-pool-positions", oracle="onnxruntime")
def max_pool_positions(rng, name):
    """Of equal maxima the first. onnxruntime counts positions through all images and channels."""
    windows, arguments, arrays = draw_pooling(rng)
    if rng.random() < 0.5:
        arrays["x"] = np.rint(arrays["x"])
    plane, onnx = math.prod(windows.size), None
    if onnx_pools(windows):
        attributes = windows.attributes(auto_pad=True) | {"ceil_mode": int(windows.ceil)}
        onnx = run_onnx([("MaxPool", ["x"], attributes)], arrays, output=1) % plane

    def function(a):
        seen = windows.taps(windows.pad(a["x"], -np.inf))
        places = windows.taps(windows.pad(np.arange(plane).reshape(1, 1, *windows.size)))
        return np.take_along_axis(np.broadcast_to(places, seen.shape), seen.argmax(0)[None], 0)[0]
    return Case(arguments, arrays, onnx, function, operation="max-pool", result="indices")


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


@cases(30, 15, "max-pool", "avg-pool", "lp-pool", oracle="onnxruntime")
def padded_pool(rng, name):
    """Padding that has values of the input: onnxruntime sees an input that NumPy has padded."""
    windows, values = draw_padded_windows(rng, pooling=True)
    arrays = {"x": rng.normal_array(rng.batch(), rng.channels(), *windows.size)}
    operator, pool = {"max-pool": ("MaxPool", np.max), "avg-pool": ("AveragePool", np.mean),
                      "lp-pool": ("LpPool", lambda taps, axis: lp_norm(taps, 2, axis))}[name]
    attributes = {"kernel_shape": windows.kernel, "strides": windows.stride, "dilations": windows.dilation}
    padded = {"x": windows.pad(arrays["x"], mode=PAD_VALUES[values])}
    arguments = ["--kernel", joined(windows.kernel), "--pad-values", values] + windows.arguments()
    return Case(arguments, arrays, run_onnx([(operator, ["x"], attributes)], padded),
                lambda a: pool(windows.taps(windows.pad(a["x"], mode=PAD_VALUES[values])), axis=0))


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
