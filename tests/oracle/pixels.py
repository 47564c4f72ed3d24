"""Cases: what puts numbers elsewhere."""
import numpy as np

from cases import Case, cases, draw_shape, joined, last_axis
from systems import run_onnx
from windows import PAD_VALUES


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


def triangle(distance):
    return np.maximum(0, 1 - np.abs(distance))


def keys_kernel(distance, a=-0.75):
    """Keys 1981."""
    d = np.abs(distance)
    return np.where(d <= 1, ((a + 2) * d - (a + 3)) * d * d + 1, np.where(d < 2, a * (((d - 5) * d + 8) * d - 4), 0))


def resized_axis(n, size, scale, mode, coordinates, rounding):
    """The matrix [outputs, inputs] of one axis. A scale that was given in single precision is reckoned with in it."""
    o = np.arange(size, dtype=scale.dtype)
    at = {"half_pixel": (o + 0.5) / scale - 0.5, "asymmetric": o / scale,
          "align_corners": np.arange(size) * (n - 1) / (size - 1) if size > 1 else np.zeros(1),
          "pytorch_half_pixel": (o + 0.5) / scale - 0.5 if size > 1 else np.zeros(1),
          "half_pixel_symmetric": n / 2 * (1 - size / (n * scale)) + (o + 0.5) / scale - 0.5}[coordinates]
    matrix, o = np.zeros((size, n)), np.arange(size)
    if mode == "nearest":
        index = {"round_prefer_floor": np.ceil(at - 0.5), "round_prefer_ceil": np.floor(at + 0.5), "floor": np.floor(at),
                 "ceil": np.ceil(at)}[rounding]
        matrix[o, np.clip(index, 0, n - 1).astype(int)] = 1
        return matrix
    low = np.floor(at).astype(int)
    for tap in range(-1, 3):
        weights = (triangle if mode == "linear" else keys_kernel)(at - low - tap)
        np.add.at(matrix, (o, np.clip(low + tap, 0, n - 1)), weights)
    return matrix


@cases(120, 40, "resize", oracle="onnxruntime")
def resize(rng, name):
    """Cubic onnxruntime has for images alone."""
    x, mode = draw_image(rng), rng.one_of(["nearest", "linear", "cubic"])
    coordinates = rng.one_of(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
                             + ([] if mode == "nearest" else ["half_pixel_symmetric"]))
    rounding = rng.one_of(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    arguments = ["--interpolation", mode, "--coordinates", coordinates, "--rounding", rounding]
    scale = rng.choice([0.5, 0.6, 0.75, 1.25, 1.5, 2, 2.5, 3], x.ndim - 2).astype(np.float32)
    size = np.floor(scale * np.float32(x.shape[2:])).astype(np.int64)
    if 0 in size or tuple(size) == x.shape[2:]:
        return resize(rng, name)
    if rng.random() < 0.5 and mode != "nearest":
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
    onnx = None
    if mode != "cubic" or x.ndim == 4:
        onnx = run_onnx([("Resize", inputs, attributes)], {"x": x}, constants)
    return Case(arguments, {"x": x}, onnx, function)


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


@cases(25, 12, "flatten", oracle="onnxruntime")
def flatten(rng, name):
    """The channels are the fastest."""
    x = draw_image(rng)
    onnx = run_onnx([("Flatten", ["x"], {"axis": 1})], {"x": np.ascontiguousarray(np.moveaxis(x, 1, -1))})
    return Case([], {"x": x}, onnx, lambda a: np.moveaxis(a["x"], 1, -1).reshape(len(x), -1))


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
