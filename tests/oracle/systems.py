"""The two systems that are compared: the tool and onnxruntime, each as a function of arrays."""
import subprocess

import numpy as np
import onnxruntime
from onnx import helper, numpy_helper

# --- the tool ---


def channels_last(x):
    return np.moveaxis(x, 1, -1) if x.ndim >= 3 else x


def channels_first(x):
    return np.moveaxis(x, -1, 1) if x.ndim >= 3 else x


def filters_last(w):
    return np.moveaxis(w, (0, 1), (-1, -2))


def filters_first(w):
    return np.moveaxis(w, (-1, -2), (0, 1))


def as_it_is(b):
    return b


TO_FILE = {"x": channels_last, "second": channels_last, "grad": channels_last, "w": filters_last, "b": as_it_is,
           "scale": as_it_is, "mean": as_it_is, "variance": as_it_is, "target": channels_last,
           "offset": channels_last, "mask": channels_last, "positions": channels_last, "rois": as_it_is}
FROM_FILE = {"y": channels_first, "indices": channels_first, "dx": channels_first, "dw": filters_first,
             "dscale": as_it_is, "db": as_it_is, "doffset": channels_first, "dmask": channels_first}
OPTION = {"x": "--input", "second": "--input", "scale": "--weights", "mean": "--mean", "variance": "--variance",
          "w": "--weights", "b": "--bias", "grad": "--grad", "target": "--target",
          "y": "--output", "indices": "--output-positions", "dx": "--output-dx", "dw": "--output-dw",
          "dscale": "--output-dw", "db": "--output-db",
          "offset": "--offset", "mask": "--mask", "positions": "--positions", "rois": "--rois",
          "doffset": "--output-doffset", "dmask": "--output-dmask"}
GRADIENTS = {"x": "dx", "w": "dw", "scale": "dscale", "b": "db", "offset": "doffset", "mask": "dmask"}  # that the tool gives


def run_tool(tool, folder, operation, arguments, arrays, results, layout):
    """The results, by name, of one call; an error of the tool is raised with its text."""
    command = [tool, "op", operation, "--layout", layout] + arguments
    for name, array in arrays.items():
        turned = TO_FILE[name](array) if layout == "nhwc" else array
        np.save(folder / f"{name}.npy", np.ascontiguousarray(turned))
        command += [OPTION[name], folder / f"{name}.npy"]
    for name in results:
        (folder / f"{name}.npy").unlink(missing_ok=True)
        command += [OPTION[name], folder / f"{name}.npy"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if ran.returncode:
        raise RuntimeError(f"status {ran.returncode}: {ran.stderr.strip()}")
    loaded = {name: np.load(folder / f"{name}.npy") for name in results}
    return {name: FROM_FILE[name](array) if layout == "nhwc" else array for name, array in loaded.items()}


# --- onnxruntime ---


def onnx_model(nodes, arrays, constants=None, output=0):
    """Of some nodes, each given as (operator, inputs, attributes); output: which of the last one's outputs it gives. inputs
    None: what the node before gave."""
    made, values = [], list(arrays)
    for operator, inputs, attributes in nodes:
        values.append(f"value{len(made)}")
        made.append(helper.make_node(operator, inputs or [values[-2]], [values[-1]], **attributes))
    for i in range(output):
        values.append(f"output{i + 1}")
        made[-1].output.append(values[-1])
    inputs = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
              for name, array in arrays.items()]
    of_any_type = helper.make_empty_tensor_value_info(values[-1])
    graph = helper.make_graph(made, "case", inputs, [of_any_type],
                              [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def run_onnx(nodes, arrays, constants=None, output=0):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    model = onnx_model(nodes, arrays, constants, output).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, arrays)[0]
