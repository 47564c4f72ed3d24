#!/usr/bin/env python3
"""Compares `convpool op` with onnxruntime, or with NumPy in double, on random cases, forward and backward.

    oracle.py CONVPOOL [--scale 1] [--seed 1] [--only NUMBER]

Runs in a virtual environment with numpy, onnx and onnxruntime: CONVPOOL_ORACLE_VENV, by default build/oracle-venv, made
at the first run. What a case is says cases.py; each is given to the tool in both layouts. Where onnxruntime and a NumPy
formula are there, they must agree, too. The backward cases come from the formula alone: its differences against the
gradients of the tool. departures.py shows where onnxruntime departs from the rules of the field.
"""
import argparse
import math
import subprocess
import sys
import tempfile
from collections import Counter
from importlib import import_module
from pathlib import Path

from environment import enter_environment

if __name__ == "__main__":
    enter_environment()

import numpy as np
import onnxruntime

from cases import DRAWN, Draws, joined
from departures import check_departures
from systems import GRADIENTS, run_tool

TOLERANCE = 1e-5  # of the largest output
LEAST_CASES = 3000

# Their cases are numbered in this order.
for kind in ["activations", "convolutions", "poolings", "regions", "pixels", "elements", "normalisations", "losses"]:
    import_module(kind)


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


def least_slope(case):
    """A slope that is next to nothing, as that of a saturated tanh, has the rounding of what it is made of; of a loss that is
    part of a mean."""
    return 0.1 * np.abs(case.arrays["grad"]).max() if "grad" in case.arrays else 0.1 / case.arrays["x"].size


def compare(tool, folder, operation, case, expected, least=0):
    """Both layouts of the tool against what is expected: what is wrong."""
    wrong = []
    for layout in ["nhwc", "nchw"]:
        try:
            got = run_tool(tool, folder, operation, case.arguments, case.arrays, list(expected), layout)
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
    operation = case.operation or operation
    if is_backward:
        expected = backward(rng, case, "target" in case.arrays)
        return compare(tool, folder, operation, case, expected, least_slope(case)), False
    expected = case.onnx if case.onnx is not None else case.function(in_double(case.arrays))
    wrong = compare(tool, folder, operation, case, {case.result: expected})
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
        for text in unasked(counts[False], asked) if options.scale >= 1 else []:
            print(text)
            failed += 1
        if total < LEAST_CASES * min(1, options.scale):
            print(f"{total} cases, but there must be {LEAST_CASES}")
            failed += 1
    print(f"{total} cases, {failed} failed")
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
