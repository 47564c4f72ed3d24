"""Cases: normalisations."""
import numpy as np

from cases import Case, cases
from systems import run_onnx


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
