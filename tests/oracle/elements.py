"""Cases: functions of two arrays, element by element, and reductions."""
import numpy as np

from cases import Case, away_from_zero, cases, draw_shape, joined, last_axis, positive
from systems import run_onnx


@cases(30, 10, "add", "sub", "mul", "div", "min", "max", "pow", oracle="onnxruntime")
def binary(rng, name):
    """With broadcasting; of the same rank, so that both layouts mean the same axes."""
    function = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "min": np.minimum,
                "max": np.maximum, "pow": np.power}[name]
    shape = draw_shape(rng)
    x, second = (rng.normal_array(*(1 if rng.random() < 0.4 else n for n in shape)) for _ in range(2))
    if name == "pow":
        x = positive(x)
    if name == "div":
        second = away_from_zero(second)
    arrays = {"x": x, "second": second}
    onnx = run_onnx([(name.capitalize(), ["x", "second"], {})], arrays)
    return Case([], arrays, onnx, lambda a: function(a["x"], a["second"]))


REDUCTIONS = {"sum": ("ReduceSum", np.sum), "mean": ("ReduceMean", np.mean), "max": ("ReduceMax", np.max),
              "min": ("ReduceMin", np.min), "product": ("ReduceProd", np.prod),
              "l1": ("ReduceL1", lambda x, **by: np.abs(x).sum(**by)),
              "l2": ("ReduceL2", lambda x, **by: np.sqrt((x * x).sum(**by))),
              "sum-square": ("ReduceSumSquare", lambda x, **by: (x * x).sum(**by)),
              "log-sum": ("ReduceLogSum", lambda x, **by: np.log(x.sum(**by))),
              "log-sum-exp": ("ReduceLogSumExp", lambda x, **by: np.log(np.exp(x).sum(**by)))}


@cases(140, 60, "reduce", oracle="onnxruntime")
def reduction(rng, name):
    kind = rng.one_of(list(REDUCTIONS))
    operator, reduce = REDUCTIONS[kind]
    arrays = {"x": rng.normal_array(*draw_shape(rng))}
    if kind == "product":  # that stays a number
        arrays["x"] = np.sign(arrays["x"]) * (np.abs(arrays["x"]) / 10 + np.float32(0.9))
    if kind == "log-sum":
        arrays["x"] = positive(arrays["x"])
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
