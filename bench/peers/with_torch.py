"""PyTorch: memory as it is by default, channels last, and with weights packed for oneDNN (what torch.compile does)."""
import torch
import torch.nn.functional as F
from worker import Unsupported

version = torch.__version__

conv = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
conv_transpose = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
max_pool = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
avg_pool = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
channels_last = {2: torch.channels_last, 3: torch.channels_last_3d}


def start(threads):
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)


def layouts(case):
    """Functions that bring a tensor of N,C,space into a layout."""
    found = {"nchw": lambda t: t.contiguous()}
    if case.axes in channels_last:
        found["nhwc"] = lambda t: t.contiguous(memory_format=channels_last[case.axes])
    return found


def variants(case):
    if not case.symmetric:
        raise Unsupported("padding of two sides")
    if case.op == "dense":
        return dense(case)
    if case.op.endswith("-pool"):
        return pools(case)
    return convolutions(case)


def relu(case, run):
    return (lambda: torch.relu_(run())) if case.relu else run


def nothing(run):
    """run(), and no result: its memory is free for the next call."""
    def call():
        run()
    return call


def convolutions(case):
    transposed = case.op == "conv-transpose"
    ins, outs = case.channels, case.filters
    x = torch.randn(case.batch, ins, *case.space)
    w = torch.randn(*((ins, outs // case.groups) if transposed else (outs, ins // case.groups)), *case.kernel)
    b = torch.randn(outs)
    found = {}
    for name, place in layouts(case).items():
        px, pw = place(x), place(w)
        if case.direction != "forward":
            found[name] = nothing(gradient(case, px, pw, place(torch.randn(case.batch, outs, *case.output))))
        elif transposed:
            found[name] = nothing(relu(case, lambda px=px, pw=pw: conv_transpose[case.axes](
                px, pw, b, case.stride, case.begin, 0, case.groups, case.dilation)))
        else:
            found[name] = nothing(relu(case, lambda px=px, pw=pw: conv[case.axes](
                px, pw, b, case.stride, case.begin, case.dilation, case.groups)))
            if name == "nhwc":
                found["packed"] = nothing(packed(case, px, w, b))
    return found


def packed(case, x, w, b):
    weights = torch.ops.mkldnn._reorder_convolution_weight(w, case.begin, case.stride, case.dilation,
                                                           case.groups, list(x.shape))
    return lambda: torch.ops.mkldnn._convolution_pointwise(x, weights, b, case.begin, case.stride, case.dilation,
                                                           case.groups, "relu" if case.relu else "none", [], "")


def gradient(case, x, w, dy):
    mask = [case.direction == "backward_input", case.direction == "backward_weights", False]
    return lambda: torch.ops.aten.convolution_backward(dy, x, w, None, case.stride, case.begin, case.dilation,
                                                       case.op == "conv-transpose", [0] * case.axes, case.groups, mask)


def dense(case):
    ins = case.channels
    for n in case.space:
        ins *= n
    x, w, b = torch.randn(case.batch, ins), torch.randn(case.filters, ins), torch.randn(case.filters)
    dy = torch.randn(case.batch, case.filters)
    if case.direction == "backward_input":
        return {"mm": nothing(lambda: dy @ w)}
    if case.direction == "backward_weights":
        return {"mm": nothing(lambda: dy.t() @ x)}
    wt = w.t().contiguous()
    return {"linear": nothing(relu(case, lambda: F.linear(x, w, b))),
            "addmm": nothing(relu(case, lambda: torch.addmm(b, x, wt)))}


def pools(case):
    x = torch.randn(case.batch, case.channels, *case.space)
    dy = torch.randn(case.batch, case.channels, *case.output)
    maximum = case.op == "max-pool"
    if case.direction != "forward" and case.axes != 2:
        raise Unsupported("gradient of this pooling")
    found = {}
    for name, place in layouts(case).items():
        px, pdy = place(x), place(dy)
        if case.direction != "forward":
            found[name] = nothing(pool_gradient(case, px, pdy))
        elif maximum:
            found[name] = nothing(lambda px=px: max_pool[case.axes](px, case.kernel, case.stride, case.begin,
                                                                    case.dilation))
        else:
            found[name] = nothing(lambda px=px: avg_pool[case.axes](px, case.kernel, case.stride, case.begin, False,
                                                                    False))
            if case.kernel == case.space:
                found[name + " mean"] = nothing(lambda px=px: px.mean(tuple(range(2, 2 + case.axes)), keepdim=True))
    if maximum and case.direction == "forward" and case.axes == 2:
        mx = x.to_mkldnn()
        found["mkldnn"] = nothing(lambda: torch.mkldnn_max_pool2d(mx, case.kernel, case.stride, case.begin,
                                                                  case.dilation))
    return found


def pool_gradient(case, x, dy):
    if case.op == "avg-pool":
        return lambda: torch.ops.aten.avg_pool2d_backward(dy, x, case.kernel, case.stride, case.begin, False, False,
                                                          None)
    _, index = torch.ops.aten.max_pool2d_with_indices(x, case.kernel, case.stride, case.begin, case.dilation)
    return lambda: torch.ops.aten.max_pool2d_with_indices_backward(dy, x, case.kernel, case.stride, case.begin,
                                                                   case.dilation, False, index)
