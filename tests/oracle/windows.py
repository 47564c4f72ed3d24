"""Sizes, kernels, strides, dilations and padding of a random case."""
from itertools import product

import numpy as np

from cases import joined

# How NumPy and ONNX call the values outside.
PAD_VALUES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


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


def draw_padded_windows(rng, pooling=False):
    """Whose padding has values of the input, and by which rule: not so wide that there are too few."""
    values = rng.one_of(list(PAD_VALUES)[1:])
    windows = draw_windows(rng, pooling)
    while windows.ceil or values != "replicate" and any(max(b, a) >= n for b, a, n in
                                                        zip(windows.before, windows.after, windows.size)):
        windows = draw_windows(rng, pooling)
    return windows, values
