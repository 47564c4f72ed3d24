"""Cases: functions of one number, and softmax."""
import math

import numpy as np

from cases import Case, away_from_zero, cases, positive
from systems import as_it_is, run_onnx

erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.logaddexp(0, x)


# name: the ONNX operator, its attributes, the same in NumPy; the usual numbers
ACTIVATIONS = {
    "linear": ("Identity", [], as_it_is, []),
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
    "thresholded-relu": ("ThresholdedRelu", ["alpha"], lambda x, a: np.where(x > a, x, 0), [1]),
    "exp": ("Exp", [], np.exp, []),
    "log": ("Log", [], np.log, []),
    "sqrt": ("Sqrt", [], np.sqrt, []),
    "reciprocal": ("Reciprocal", [], np.reciprocal, []),
    "abs": ("Abs", [], np.abs, []),
    "neg": ("Neg", [], np.negative, []),
    "sign": ("Sign", [], np.sign, []),
    "floor": ("Floor", [], np.floor, []),
    "ceil": ("Ceil", [], np.ceil, []),
    "round": ("Round", [], np.rint, []),
    "erf": ("Erf", [], erf, []),
    "sin": ("Sin", [], np.sin, []),
    "cos": ("Cos", [], np.cos, []),
}
DOMAINS = {"log": positive, "sqrt": positive, "reciprocal": away_from_zero}
STEPS = ["sign", "floor", "ceil", "round"]


def draw_activation(rng):
    """Behind a layer: its name, its ONNX nodes, its function."""
    name = rng.one_of([None, None, None, "relu", "sigmoid", "tanh"])
    if not name:
        return "none", [], as_it_is
    return name, [(ACTIVATIONS[name][0], None, {})], ACTIVATIONS[name][2]


@cases(26, 12, "relu", "sigmoid", "tanh", "leaky-relu", "elu", "selu", "celu", "mish", "softplus", "softsign",
       "hard-sigmoid", "hard-swish", "thresholded-relu", oracle="onnxruntime")
@cases(26, 12, "linear", "exp", "log", "sqrt", "reciprocal", "abs", "neg", "sign", "floor", "ceil", "round", "erf", "sin",
       "cos", oracle="onnxruntime")
@cases(26, 12, "gelu", "gelu-tanh", "silu", "clip", oracle="NumPy")
def activation(rng, name):
    operator, words, function, numbers = ACTIVATIONS[name]
    arguments = []
    if words and rng.random() < 0.5:
        numbers = [float(np.float32(v)) for v in sorted(rng.uniform(0.1, 2, len(words)))]
        arguments = [a for pair in zip(["--alpha", "--beta"], map(str, numbers)) for a in pair]
    x = rng.normal_array(*rng.integers(1, 4 if rng.small else 9, rng.integers(1, 5))) * np.float32(4)
    if name in STEPS and not rng.small and rng.random() < 0.5:
        x = np.rint(x * 2) / 2  # on the steps, and halfway between
    arrays = {"x": DOMAINS.get(name, as_it_is)(x)}
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
