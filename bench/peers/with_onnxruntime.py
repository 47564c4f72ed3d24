"""ONNX Runtime: a model of one operation, run on bound memory.

Its fastest layout is its own, blocked one. A network changes to it once, a model of one operation before and behind that
operation; so the profile tells which part of the time the operation itself takes, and that part counts.
"""
import json
import tempfile
import time

import numpy
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from worker import Unsupported

version = onnxruntime.__version__
threads_used = 1


def start(threads):
    global threads_used
    threads_used = threads


def variants(case):
    if case.direction != "forward":
        raise Unsupported("no gradients")
    model, x_shape, y_shape = build(case)
    session = new_session(model)
    binding = session.io_binding()
    x = numpy.random.default_rng(2).standard_normal(x_shape, numpy.float32)
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(x))
    binding.bind_ortvalue_output("y", onnxruntime.OrtValue.ortvalue_from_numpy(numpy.empty(y_shape, numpy.float32)))
    share = operation_share(model, x)

    def part():
        begin = time.perf_counter()
        session.run_with_iobinding(binding)
        return (time.perf_counter() - begin) * share
    return {"blocked": part} if share < 1 else {"nchw": lambda: session.run_with_iobinding(binding)}


def build(case):
    """The model as bytes, the shapes of x and y."""
    ins, outs = case.channels, case.filters
    x_shape, y_shape = [case.batch, ins, *case.space], [case.batch, outs, *case.output]
    window = {"kernel_shape": case.kernel, "strides": case.stride, "pads": case.begin + case.end}
    weights = [outs, ins // case.groups, *case.kernel]
    names = {"conv": "Conv", "conv-transpose": "ConvTranspose", "max-pool": "MaxPool", "avg-pool": "AveragePool",
             "dense": "Gemm"}
    if case.op not in names:
        raise Unsupported(case.op)
    if case.op in ("conv", "conv-transpose", "max-pool"):
        window["dilations"] = case.dilation
    if case.op in ("conv", "conv-transpose"):
        window["group"] = case.groups
    if case.op == "conv-transpose":
        weights = [ins, outs // case.groups, *case.kernel]
    if case.op == "dense":
        ins *= int(numpy.prod(case.space))
        x_shape, y_shape, weights, window = [case.batch, ins], [case.batch, outs], [ins, outs], {}
    name = names[case.op]
    if case.op == "avg-pool" and case.kernel == case.space:
        name, window = "GlobalAveragePool", {}

    random = numpy.random.default_rng(1)
    constants = [] if case.op.endswith("-pool") else [
        numpy_helper.from_array(random.standard_normal(shape, numpy.float32), name)
        for name, shape in (("w", weights), ("b", [outs]))]
    nodes = [helper.make_node(name, ["x"] + [c.name for c in constants], ["before" if case.relu else "y"], **window)]
    if case.relu:
        nodes.append(helper.make_node("Relu", ["before"], ["y"]))
    graph = helper.make_graph(nodes, "case", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x_shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, y_shape)], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString(), x_shape, y_shape


def new_session(model, profile=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads_used
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def operation_share(model, x):
    """The operation's part in the time of all nodes; 1 where no node changes the layout."""
    with tempfile.TemporaryDirectory() as folder:
        session = new_session(model, folder + "/profile")
        for _ in range(20):
            session.run(None, {"x": x})
        with open(session.end_profiling()) as file:
            events = json.load(file)
    times = {}
    for event in events:
        if event.get("name", "").endswith("_kernel_time"):
            op = event["args"]["op_name"]
            times.setdefault(op, []).append(event["dur"])
    sums = {op: sorted(durations)[len(durations) // 2] for op, durations in times.items()}
    changes = sum(time for op, time in sums.items() if op in ("ReorderInput", "ReorderOutput", "Transpose"))
    total = sum(sums.values())
    return (total - changes) / total if changes and total else 1
