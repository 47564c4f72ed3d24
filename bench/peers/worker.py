#!/usr/bin/env python3
"""One system in a process of its own: reads cases, a JSON object in each line, and answers each with its times.

    worker.py SYSTEM THREADS

A case is what `convpool bench ops` takes, with "seconds" beside it: how long to measure. The first line says which
version this is; then an answer is {"min_ms", "median_ms", "variant"} or {"error"}. SYSTEM is a module here, with_SYSTEM.py:

    version                     of the system
    start(threads)              before anything else
    variants(case)              {name: function}, ways to run the case; of several the fastest one counts. A function
                                runs the case once, on the same memory each time, and returns None, or the seconds that
                                count where it knows them better. Raises Unsupported where the system cannot.
"""
import importlib
import json
import statistics
import sys
import time
from dataclasses import dataclass, field

WARM_UP = 0.03  # seconds, and three runs
LEAST_RUNS = 5
PATIENCE = 0.5  # seconds, for what is so slow that these runs take longer
PROBE = 0.03  # seconds for each variant, to find the fastest


class Unsupported(Exception):
    pass


@dataclass
class Case:
    """A case with its defaults filled in. space, kernel, ... have one number for each spatial axis."""
    name: str
    op: str
    direction: str  # forward, backward_input, backward_weights
    batch: int
    space: list
    channels: int
    filters: int
    kernel: list
    stride: list
    dilation: list
    begin: list  # padding
    end: list
    groups: int
    relu: bool
    output: list = field(default_factory=list)  # space of the output

    @property
    def axes(self):
        return len(self.space)

    @property
    def symmetric(self):
        return self.begin == self.end

    @property
    def depthwise(self):
        return self.groups > 1 and self.groups == self.channels


def parse(text):
    given = json.loads(text)
    op = given["op"]
    batch, *space, channels = given["input"]
    axes = len(space)
    kernel = given.get("kernel", [1] * axes)
    pooling = op.endswith("-pool")
    stride = given.get("stride", kernel if pooling else [1] * axes)
    dilation = given.get("dilation", [1] * axes)
    begin, end = padding(given.get("padding", "valid"), space, kernel, stride, dilation)
    case = Case(given["name"], op, given.get("pass", "forward"), batch, space, channels,
                given.get("filters", channels), kernel, stride, dilation, begin, end, given.get("groups", 1),
                given.get("activation", "none") == "relu")
    known = {"name", "op", "pass", "input", "filters", "kernel", "stride", "padding", "dilation", "groups",
             "activation", "seconds"}
    if set(given) - known:
        raise Unsupported("unknown: " + ", ".join(sorted(set(given) - known)))
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    if op == "conv-transpose":
        case.output = [s * (n - 1) + e - b - a for n, s, e, b, a in zip(space, stride, extent, begin, end)]
    else:
        case.output = [(n + b + a - e) // s + 1 for n, s, e, b, a in zip(space, stride, extent, begin, end)]
    return case


def padding(given, space, kernel, stride, dilation):
    axes = len(space)
    if given == "valid":
        return [0] * axes, [0] * axes
    if given == "same":
        total = [max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
                 for n, k, s, d in zip(space, kernel, stride, dilation)]
        return [t // 2 for t in total], [t - t // 2 for t in total]
    return given[:axes], given[axes:]


def once(run):
    begin = time.perf_counter()
    own = run()
    return time.perf_counter() - begin if own is None else own


def measure(run, seconds):
    begin = time.perf_counter()
    times = []
    while True:
        times.append(once(run))
        passed = time.perf_counter() - begin
        if passed >= seconds and (len(times) >= LEAST_RUNS or passed > PATIENCE):
            return times


def warm_up(run):
    begin = time.perf_counter()
    runs = 0
    while time.perf_counter() - begin < (WARM_UP if runs >= 3 else PATIENCE):
        run()
        runs += 1


def fastest(variants):
    best = None
    reasons = []
    for name, run in variants.items():
        try:
            warm_up(run)
            least = min(measure(run, PROBE))
        except Exception as error:  # a variant that does not exist for this case
            reasons.append(f"{name}: {first_line(error)}")
            continue
        if best is None or least < best[0]:
            best = least, name, run
    if best is None:
        raise Unsupported("; ".join(reasons))
    return best[1:]


def first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def answer(system, text, known):
    """known: the last case and its fastest variant, which the next round asks for again."""
    try:
        if known.get("text") != text:
            known.clear()
            known.update(text=text)
            known["best"] = fastest(system.variants(parse(text)))
        name, run = known["best"]
        warm_up(run)
        times = measure(run, json.loads(text).get("seconds", 0.1))
        return {"min_ms": 1e3 * min(times), "median_ms": 1e3 * statistics.median(times), "variant": name}
    except Exception as error:
        known.clear()
        return {"error": first_line(error)}


def main():
    sys.modules["worker"] = sys.modules[__name__]  # with_*.py import names from here
    replies, sys.stdout = sys.stdout, sys.stderr  # what a system prints is no answer
    system = importlib.import_module("with_" + sys.argv[1])
    system.start(int(sys.argv[2]))
    print(json.dumps({"version": system.version}), file=replies, flush=True)
    known = {}
    for text in sys.stdin:
        print(json.dumps(answer(system, text, known)), file=replies, flush=True)


if __name__ == "__main__":
    main()
