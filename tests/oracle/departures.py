"""Where the peers depart from the rules of the field: what they say, and what must come out.

The random cases are asked in a form in which onnxruntime does not depart:
  - SAME with dilation: its Conv refuses it and its poolings take the kernel for its dilated extent. SAME with a kernel
    below the stride: its poolings find negative padding. The padding is then worked out by windows.py.
  - Padding as large as a pooling's kernel: it refuses it, which SAME with dilation needs. NumPy alone answers then.
  - Col2Im with dilation, where it has not two axes: it puts numbers into the wrong places.
  - SAME of a transposed convolution with output padding, or with a window below the stride: another size.
  - Resize gives the input itself where the sizes are the same, and rounds the ratio of sizes to single precision, which
    may take nearest to another pixel. Such scales and sizes are not asked.
"""
import math

import numpy as np
from onnx.reference import ReferenceEvaluator

from systems import onnx_model, run_onnx, run_tool


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
