"""Cases: poolings of regions of interest, in two axes."""
import math
from itertools import product

import numpy as np

from cases import Case, cases, joined
from systems import run_onnx


def draw_regions(rng, x, scale):
    regions = np.zeros((int(rng.integers(1, 5)), 5))
    for row in regions:
        width, height = x.shape[3], x.shape[2]
        row[0] = rng.integers(len(x))
        row[1:3] = rng.uniform(-2, [width, height])
        row[3:5] = row[1:3] + rng.uniform(0.2, [width + 2, height + 2])
    regions[:, 1:] /= scale
    return regions.astype(np.float32)


def draw_region_case(rng, outputs):
    x = rng.normal_array(rng.batch(), rng.channels(), *rng.sizes(12, 2))
    scale = float(rng.one_of([1, 0.5, 0.25]))
    out = [int(rng.one_of(outputs)) for _ in range(2)]
    arrays = {"x": x, "rois": draw_regions(rng, x, scale)}
    return arrays, scale, out, ["--spatial-scale", str(scale), "--output-size", joined(out)]


def pool_regions(a, out, pool):
    """pool(the image of a region, the region, o) for each bin."""
    y = np.zeros((len(a["rois"]), a["x"].shape[1], *out))
    for r, region in enumerate(a["rois"].astype(np.float64)):
        for o in product(*map(range, out)):
            y[(r, slice(None), *o)] = pool(a["x"][int(region[0])], region, o)
    return y


@cases(50, 20, "max-roi-pool", oracle="onnxruntime")
def max_roi_pool(rng, name):
    """onnxruntime divides in single precision, which is exact for powers of two."""
    arrays, scale, out, arguments = draw_region_case(rng, [1, 2, 4])

    def largest(image, region, o):
        spans = []
        for n, first, last, of, i in zip(image.shape[1:], region[[2, 1]], region[[4, 3]], out, o):
            begin, end = (math.floor(abs(v * scale) + 0.5) * (1 if v > 0 else -1) for v in (first, last))
            extent = max(end - begin + 1, 1)
            spans.append(slice(*np.clip([begin + i * extent // of, begin - (-(i + 1) * extent // of)], 0, n)))
        window = image[(slice(None), *spans)].reshape(len(image), -1)
        return window.max(1) if window.size else 0
    onnx = run_onnx([("MaxRoiPool", ["x", "rois"], {"pooled_shape": out, "spatial_scale": scale})], arrays)
    return Case(arguments, arrays, onnx, lambda a: pool_regions(a, out, largest))


@cases(80, 30, "roi-align", oracle="onnxruntime")
def roi_align(rng, name):
    """The maximum of onnxruntime is that of single pixels times their weights; that of interpolated values is NumPy's."""
    arrays, scale, out, arguments = draw_region_case(rng, [1, 2, 3])
    sampling, half = int(rng.integers(0, 4)), rng.random() < 0.5
    mode = rng.one_of(["avg", "avg", "max", "corners"])
    arguments += ["--sampling", str(sampling)] if sampling else []
    arguments += ([] if half else ["--output-half-pixel"]) + {"avg": [], "max": ["--max"],
                                                              "corners": ["--max", "--max-of-corners"]}[mode]

    def points(n, first, last, of, i):
        begin = first * scale - half / 2
        extent = (last - first) * scale if half else max((last - first) * scale, 1)
        many = sampling or math.ceil(extent / of)
        return begin + extent / of * (i + (np.arange(many) + 0.5) / many)

    def values(image, y, x):
        if not (-1 <= y <= image.shape[1] and -1 <= x <= image.shape[2]):
            return np.zeros((4, len(image)))
        corners = []
        for n, p in zip(image.shape[1:], (y, x)):
            p = min(max(p, 0), n - 1)
            low = min(math.floor(p), n - 1)
            corners.append([(low, 1 - (p - low)), (min(low + 1, n - 1), p - low)])
        return np.stack([image[:, i, j] * v * w for i, v in corners[0] for j, w in corners[1]])

    def align(image, region, o):
        ys, xs = (points(n, first, last, of, i) for n, first, last, of, i in
                  zip(image.shape[1:], region[[2, 1]], region[[4, 3]], out, o))
        found = [values(image, y, x) for y in ys for x in xs]
        if not found:
            return 0
        if mode == "corners":
            return np.max(found, axis=(0, 1))
        return (np.mean if mode == "avg" else np.max)(np.sum(found, axis=1), axis=0)
    onnx = None
    if mode != "max":
        attributes = {"mode": "avg" if mode == "avg" else "max", "output_height": out[0], "output_width": out[1],
                      "sampling_ratio": sampling, "spatial_scale": scale,
                      "coordinate_transformation_mode": "half_pixel" if half else "output_half_pixel"}
        boxes = {"boxes": arrays["rois"][:, 1:].copy(), "images": arrays["rois"][:, 0].astype(np.int64)}
        onnx = run_onnx([("RoiAlign", ["x", "boxes", "images"], attributes)], {"x": arrays["x"]}, boxes)
    return Case(arguments, arrays, onnx, lambda a: pool_regions(a, out, align))
