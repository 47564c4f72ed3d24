"""Cases: losses, whose gradients are asked in the same call."""
import numpy as np

from activations import softplus
from cases import Case, cases, draw_shape


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
