"""TensorFlow: channels last, as a graph (in which oneDNN works) and compiled by XLA."""
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf  # noqa: E402
from worker import Unsupported  # noqa: E402

version = tf.__version__


def start(threads):
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def variants(case):
    if case.axes == 1 and case.op != "dense":
        case = as_image(case)
    function, inputs = operation(case)
    inputs = [tf.constant(tf.random.normal(shape)) for shape in inputs]
    found = {}
    for name, compiled in (("graph", tf.function(function)),
                           ("xla", tf.function(function, jit_compile=True))):
        found[name] = lambda compiled=compiled: compiled(*inputs) is None or None
    return found


def as_image(case):
    """A line is an image of one row."""
    for name in ("space", "kernel", "stride", "dilation", "output"):
        setattr(case, name, [1] + getattr(case, name))
    case.begin, case.end = [0] + case.begin, [0] + case.end
    return case


def operation(case):
    if case.op == "dense":
        return dense(case)
    return pooling(case) if case.op.endswith("-pool") else convolution(case)


def words(case):
    """What all window operations are told: strides and dilations of every axis, padding in one of two forms."""
    return [1, *case.stride, 1], [1, *case.dilation, 1]


def explicit(case):
    return [[0, 0], *([b, e] for b, e in zip(case.begin, case.end)), [0, 0]]


def named(case):
    """SAME or VALID, for operations that know nothing else."""
    if not any(case.begin + case.end):
        return "VALID"
    total = [max(0, (o - 1) * s + (k - 1) * d + 1 - n) for o, s, k, d, n in
             zip(case.output, case.stride, case.kernel, case.dilation, case.space)]
    same = [-(-n // s) for n, s in zip(case.space, case.stride)]
    if case.output != same or case.begin != [t // 2 for t in total] or case.end != [t - t // 2 for t in total]:
        raise Unsupported("this padding")
    return "SAME"


def padding(case):
    try:
        return {"padding": named(case)}
    except Unsupported:
        return {"padding": "EXPLICIT", "explicit_paddings": [p for pair in explicit(case) for p in pair]}


def dense(case):
    ins = case.channels
    for n in case.space:
        ins *= n
    w, b = tf.Variable(tf.random.normal([ins, case.filters])), tf.Variable(tf.zeros([case.filters]))
    if case.direction == "backward_input":
        return (lambda dy: tf.matmul(dy, w, transpose_b=True)), [[case.batch, case.filters]]
    if case.direction == "backward_weights":
        return (lambda x, dy: tf.matmul(x, dy, transpose_a=True)), [[case.batch, ins], [case.batch, case.filters]]
    w, b = tf.constant(w), tf.constant(b)
    return (lambda x: finish(case, tf.matmul(x, w), b)), [[case.batch, ins]]


def finish(case, y, b):
    y = tf.nn.bias_add(y, b)
    return tf.nn.relu(y) if case.relu else y


def convolution(case):
    if case.groups > 1 and not (case.depthwise and case.filters == case.channels and case.op == "conv"):
        raise Unsupported("groups")
    x_shape, y_shape = [case.batch, *case.space, case.channels], [case.batch, *case.output, case.filters]
    if case.op == "conv-transpose":
        return transposed(case, x_shape, y_shape)
    shape = [*case.kernel, case.channels, 1 if case.depthwise else case.filters]
    w, b = tf.constant(tf.random.normal(shape)), tf.constant(tf.zeros([case.filters]))
    strides, dilations = words(case)
    if case.axes == 3:
        keys = {"strides": strides, "dilations": dilations, "padding": named(case)}
        forward, by_input, by_weights = tf.raw_ops.Conv3D, tf.raw_ops.Conv3DBackpropInputV2, \
            tf.raw_ops.Conv3DBackpropFilterV2
        sizes = ("input_sizes", "filter_sizes")
    else:
        keys = {"strides": strides, "dilations": dilations, **padding(case)}
        forward, by_input, by_weights = (
            (tf.raw_ops.DepthwiseConv2dNative, tf.raw_ops.DepthwiseConv2dNativeBackpropInput,
             tf.raw_ops.DepthwiseConv2dNativeBackpropFilter) if case.depthwise else
            (tf.raw_ops.Conv2D, tf.raw_ops.Conv2DBackpropInput, tf.raw_ops.Conv2DBackpropFilter))
        sizes = ("input_sizes", "filter_sizes")
    if case.direction == "forward":
        return (lambda x: finish(case, forward(input=x, filter=w, **keys), b)), [x_shape]
    if case.direction == "backward_input":
        return (lambda dy: by_input(**{sizes[0]: x_shape}, filter=w, out_backprop=dy, **keys)), [y_shape]
    return (lambda x, dy: by_weights(input=x, **{sizes[1]: shape}, out_backprop=dy, **keys)), [x_shape, y_shape]


def transposed(case, x_shape, y_shape):
    if case.direction != "forward" or case.axes != 2:
        raise Unsupported("this transposed convolution")
    w = tf.constant(tf.random.normal([*case.kernel, case.filters, case.channels]))
    b = tf.constant(tf.zeros([case.filters]))
    return (lambda x: finish(case, tf.nn.conv2d_transpose(x, w, y_shape, case.stride, explicit(case)), b)), [x_shape]


def pooling(case):
    x_shape, y_shape = [case.batch, *case.space, case.channels], [case.batch, *case.output, case.channels]
    if any(d != 1 for d in case.dilation):
        raise Unsupported("dilated pooling")
    ksize, strides = [1, *case.kernel, 1], [1, *case.stride, 1]
    if case.op == "avg-pool":
        if case.direction == "forward" and case.kernel == case.space:
            return (lambda x: tf.reduce_mean(x, list(range(1, 1 + case.axes)))), [x_shape]
        if case.direction == "forward":
            return (lambda x: tf.nn.avg_pool(x, case.kernel, case.stride, named(case))), [x_shape]
        if case.axes != 2:
            raise Unsupported("this gradient")
        return (lambda dy: tf.raw_ops.AvgPoolGrad(orig_input_shape=x_shape, grad=dy, ksize=ksize, strides=strides,
                                                  padding=named(case))), [y_shape]
    if case.axes != 2:
        if case.direction != "forward":
            raise Unsupported("this gradient")
        return (lambda x: tf.nn.max_pool(x, case.kernel, case.stride, named(case))), [x_shape]
    pads = explicit(case) if any(case.begin + case.end) else "VALID"
    if case.direction == "forward":
        return (lambda x: tf.nn.max_pool2d(x, case.kernel, case.stride, pads)), [x_shape]
    x = tf.random.normal(x_shape)
    y = tf.nn.max_pool2d(x, case.kernel, case.stride, pads)
    return (lambda x, y, dy: tf.raw_ops.MaxPoolGrad(orig_input=x, orig_output=y, grad=dy, ksize=ksize,
                                                    strides=strides, **padding(case))), [x_shape, y_shape, y_shape]
