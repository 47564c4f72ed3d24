"""OpenVINO: a model of one operation in f32 (its default on CPUs with bf16 is to round), on the same memory each time.

Inputs and outputs channels last, which convolutions take as they are, and channels first; and, where its profile shows
that the layout is changed around the operation, only the operation's part of the time.
"""
import time

import numpy
import openvino
from openvino import Layout, Type, opset13
from openvino.preprocess import PrePostProcessor
from worker import Unsupported

version = openvino.__version__.split("-")[0]
threads_used = 1
core = openvino.Core()


def start(threads):
    global threads_used
    threads_used = threads


def variants(case):
    if case.direction == "backward_weights" or (case.direction != "forward" and case.op != "conv"):
        raise Unsupported("no gradients")
    found = {}
    for layout in ("nchw", "nhwc") if case.axes == 2 and case.op != "dense" else ("nchw",):
        found.update(runs(layout, compiled(case, layout)))
    return found


def random(*shape):
    return opset13.constant(numpy.random.default_rng(1).standard_normal(shape, numpy.float32))


def build(case):
    ins, outs = case.channels, case.filters
    x_shape = [case.batch, ins, *case.space]
    groups = [case.groups] if case.groups > 1 else []
    window = (case.stride, case.begin, case.end, case.dilation)
    if case.op == "dense":
        ins *= int(numpy.prod(case.space))
        x_shape = [case.batch, ins]
    if case.direction == "backward_input":
        x_shape = [case.batch, outs, *case.output]
    x = opset13.parameter(x_shape, Type.f32)
    one = [1] * case.axes
    if case.op == "dense":
        y = opset13.add(opset13.matmul(x, random(outs, ins), False, True), random(1, outs))
    elif case.direction == "backward_input":
        if groups:
            raise Unsupported("no gradients")
        # The gradient by the input is a transposed convolution that knows the size of its result.
        y = opset13.convolution_backprop_data(x, random(outs, ins, *case.kernel), case.stride,
                                              opset13.constant(numpy.array(case.space)), case.begin, case.end,
                                              case.dilation)
    elif case.op == "conv":
        convolution = opset13.group_convolution if groups else opset13.convolution
        y = convolution(x, random(*groups, outs // case.groups, ins // case.groups, *case.kernel), *window)
    elif case.op == "conv-transpose":
        if groups:
            raise Unsupported("groups")
        y = opset13.convolution_backprop_data(x, random(ins, outs, *case.kernel), case.stride, None, case.begin,
                                              case.end, case.dilation)
    elif case.op == "max-pool":
        y = opset13.max_pool(x, case.stride, case.dilation, case.begin, case.end, case.kernel).output(0)
    elif case.op == "avg-pool" and case.kernel == case.space:
        y = opset13.reduce_mean(x, opset13.constant(list(range(2, 2 + case.axes))), True)
    elif case.op == "avg-pool":
        y = opset13.avg_pool(x, case.stride, case.begin, case.end, case.kernel, True)
    else:
        raise Unsupported(case.op)
    if case.op in ("conv", "conv-transpose") and case.direction == "forward":
        y = opset13.add(y, random(1, outs, *one))
    if case.relu:
        y = opset13.relu(y)
    return openvino.Model([y], [x], "case")


def compiled(case, layout):
    model = build(case)
    if layout == "nhwc":
        steps = PrePostProcessor(model)
        steps.input().tensor().set_layout(Layout("NHWC"))
        steps.input().model().set_layout(Layout("NCHW"))
        steps.output().tensor().set_layout(Layout("NHWC"))
        steps.output().model().set_layout(Layout("NCHW"))
        model = steps.build()
    options = {"INFERENCE_NUM_THREADS": threads_used, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32",
               "PERFORMANCE_HINT": "LATENCY", "ENABLE_HYPER_THREADING": False}
    request = core.compile_model(model, "CPU", options).create_infer_request()
    share = operation_share(core.compile_model(model, "CPU", {**options, "PERF_COUNT": True}).create_infer_request())
    request.get_input_tensor().data[:] = numpy.random.default_rng(2).standard_normal(request.get_input_tensor().shape)
    return request, share


def operation_share(request):
    request.get_input_tensor().data[:] = 0.5
    for _ in range(10):
        request.infer()
    total = changes = 0
    for node in request.profiling_info:
        total += node.real_time.total_seconds()
        if node.node_type in ("Reorder", "Transpose"):
            changes += node.real_time.total_seconds()
    return (total - changes) / total if total and changes else 1


def runs(layout, made):
    request, share = made
    if share == 1:
        return {layout: lambda: request.infer() and None}

    def part():
        begin = time.perf_counter()
        request.infer()
        return (time.perf_counter() - begin) * share
    return {layout + ", the operation": part}
