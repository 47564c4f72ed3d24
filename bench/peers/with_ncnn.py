"""ncnn: a layer by itself, on data packed as it likes it (16, 8 or 4 channels together). It knows no batches: pictures of
a batch run one after the other."""
import tempfile

import ncnn
import numpy
from worker import Unsupported

version = ncnn.__version__
threads_used = 1
allocators = ncnn.PoolAllocator(), ncnn.PoolAllocator()  # keep memory from call to call; outlive every net


def start(threads):
    global threads_used
    threads_used = threads
    ncnn.set_omp_num_threads(threads)


def variants(case):
    if case.direction != "forward":
        raise Unsupported("no gradients")
    random = numpy.random.default_rng(1)
    net = build(case, random)
    pictures = inputs(case, random)

    def run():
        for picture in pictures:
            extractor = net.create_extractor()
            extractor.input("in", picture)
            extractor.extract("out", 1)  # 1: as it is packed
    return {"packed": run}


def build(case, random):
    name, keys, weights = describe(case)
    net = ncnn.Net()
    options = net.opt
    options.num_threads = threads_used
    options.blob_allocator, options.workspace_allocator = allocators
    for option in dir(options):
        if "fp16" in option or "bf16" in option:
            setattr(options, option, False)
    text = " ".join(f"{key}={int(value)}" for key, value in keys.items())
    if net.load_param_mem(f"7767517\n2 2\nInput in 0 1 in\n{name} layer 1 1 in out {text}\n"):
        raise Unsupported("parameters")
    with tempfile.NamedTemporaryFile() as file:
        if weights:
            file.write(bytes(4))  # the weights are f32
            file.write(random.standard_normal(weights, numpy.float32).tobytes())
            file.write(random.standard_normal(case.filters, numpy.float32).tobytes())
            file.flush()
        if net.load_model(file.name):
            raise Unsupported("weights")
    return net


def mat(random, *shape):
    values = random.standard_normal(shape, numpy.float32)  # the first Mat is a view of it
    return ncnn.Mat(values).clone()


def describe(case):
    """Name, parameters by ncnn's numbers, number of weights."""
    if case.op == "dense":
        ins = case.channels * int(numpy.prod(case.space))
        return "InnerProduct", {0: case.filters, 1: 1, 2: ins * case.filters, 9: case.relu}, ins * case.filters
    if case.axes == 1:
        case_2d = [(case.kernel[0], 1), (case.dilation[0], 1), (case.stride[0], 1), (case.begin[0], 0),
                   (case.end[0], 0)]
    else:
        case_2d = [(values[-1], values[-2]) for values in
                   (case.kernel, case.dilation, case.stride, case.begin, case.end)]
    (kw, kh), (dw, dh), (sw, sh), (left, top), (right, bottom) = case_2d
    if case.op.endswith("-pool"):
        if case.axes != 2 or (dw, dh) != (1, 1):
            raise Unsupported("this pooling")
        return "Pooling", {0: case.op == "avg-pool", 1: kw, 11: kh, 2: sw, 12: sh, 3: left, 13: top, 14: right,
                           15: bottom, 4: case.kernel == case.space, 5: 1, 6: 0}, 0
    taps = int(numpy.prod(case.kernel))
    count = taps * case.channels * case.filters // case.groups
    keys = {0: case.filters, 1: kw, 11: kh, 2: dw, 12: dh, 3: sw, 13: sh, 4: left, 14: top, 15: right, 16: bottom,
            5: 1, 6: count, 9: case.relu}
    name = {"conv": "Convolution", "conv-transpose": "Deconvolution"}.get(case.op)
    if not name:
        raise Unsupported(case.op)
    if case.groups > 1:
        name += "DepthWise"
        keys[7] = case.groups
    if case.axes == 3:
        name += "3D"
        keys.update({21: case.kernel[0], 22: case.dilation[0], 23: case.stride[0], 24: case.begin[0],
                     17: case.end[0]})
    if case.axes == 1:
        name += "1D"
        keys = {k: v for k, v in keys.items() if k in (0, 1, 2, 3, 4, 15, 5, 6, 7, 9)}
    return name, keys, count


def inputs(case, random):
    """The pictures of the batch, packed."""
    if case.op == "dense":
        ins = case.channels * int(numpy.prod(case.space))
        return [mat(random, case.batch, ins)]
    pictures = []
    for _ in range(case.batch):
        picture = mat(random, case.channels, *case.space)
        pack = next(p for p in (16, 8, 4, 1) if case.channels % p == 0)
        pictures.append(ncnn.convert_packing(picture, pack, ncnn.Option()) if pack > 1 else picture)
    return pictures
