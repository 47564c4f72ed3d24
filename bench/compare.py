#!/usr/bin/env python3
"""Convpool beside its peers, case by case: times, ratios, and the share of what the machine gives at most.

    bench/setup-peers.sh                                    once: makes bench/environment
    bench/compare.py --threads 1 --json one.json            runs all cases; a Markdown table on standard output
    bench/compare.py --cases bench/cases/pools.jsonl --select N=16 --peers onednn,torch --rounds 5
    bench/compare.py --report one.json two.json             the tables of earlier runs; --write puts them into a page

Each system is one process that stays alive; they take turns at a case, for several rounds, and all run on the same CPUs.
A time is the median of the rounds' medians; a ratio above 1 says that Convpool is faster than the peer. Peers are asked
in each layout and way that they have, and the fastest one counts (peers/worker.py, peers/onednn.c).
"""
import argparse
import datetime
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = ["onednn", "torch", "onnxruntime", "openvino", "tensorflow", "ncnn"]
OURS = "convpool"
BEGIN, END = "<!-- tables: made by bench/compare.py --report FILE... --write PAGE -->", "<!-- end of tables -->"
PAUSE = 0.02  # seconds before each turn: workers of the system before go to sleep


# --- what the numbers say: everything here is without side effects ---

def read_cases(text):
    """The cases of a file of lines; empty ones are none."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def summary(rounds):
    """One system's rounds of one case as one result."""
    errors = [r["error"] for r in rounds if "error" in r]
    if errors or not rounds:
        return {"error": errors[0] if errors else "not run"}
    medians = [r["median_ms"] for r in rounds]
    result = {"median_ms": statistics.median(medians), "min_ms": min(r["min_ms"] for r in rounds),
              "spread": max(medians) / min(medians)}
    middle = min(rounds, key=lambda r: abs(r["median_ms"] - result["median_ms"]))
    keep = ("variant", "algorithm", "isa", "gflops", "gbps", "share", "bound", "limit")
    result.update({key: middle[key] for key in keep if key in middle})
    return result


def ratios(results, key="median_ms"):
    """How many times as long each peer takes as Convpool."""
    ours = results.get(OURS, {}).get(key)
    return {name: result[key] / ours for name, result in results.items()
            if ours and name != OURS and key in result}


def best_peer(results, key="median_ms"):
    """(name, ratio) of the fastest peer, or None."""
    found = ratios(results, key)
    return min(found.items(), key=lambda item: item[1]) if found else None


def geometric_mean(values):
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def kind_of(case):
    """The group of a case in the summary."""
    direction = {"backward_input": ", gradient by input", "backward_weights": ", gradient by weights"}
    op = case["op"]
    if op == "conv" and case.get("groups", 1) > 1:
        op = "depthwise" if case["groups"] == case["input"][-1] else "grouped"
    elif op == "conv":
        unit = all(n == 1 for n in case.get("stride", [1]) + case.get("dilation", [1]))
        three = case["kernel"] == [3, 3] and unit
        op = "conv 3x3/1" if three and min(case["input"][-1], case["filters"]) >= 32 else "conv, others"
    return op + direction.get(case.get("pass"), "")


def milliseconds(value):
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def table_row(entry, peers):
    results = entry["results"]
    ours = results.get(OURS, {"error": "not run"})
    best = best_peer(results)
    cells = [entry["case"]["name"]]
    if "error" in ours:
        cells += ["-", "-", "-"]
    else:
        share = f"{100 * ours['share']:.0f} % of {ours['bound']}" if ours.get("share") is not None else "-"
        cells += [milliseconds(ours["median_ms"]), ours.get("algorithm", "-"), share]
    for peer in peers:
        result = results.get(peer, {"error": "not run"})
        cells.append("-" if "error" in result else milliseconds(result["median_ms"]))
    if best:
        cells += [best[0], f"**{best[1]:.2f}**" if best[1] >= 1 else f"{best[1]:.2f}",
                  f"{best_peer(results, 'min_ms')[1]:.2f}", f"{spread(results):.2f}"]
    else:
        cells += ["-", "-", "-", "-"]
    return "| " + " | ".join(cells) + " |"


def spread(results):
    """The largest quotient of two rounds of the two that are compared."""
    best = best_peer(results)
    return max(results[name].get("spread", 1) for name in (OURS, best[0]))


def markdown(runs):
    """The tables of runs, each of one number of threads, and below each its geometric means."""
    lines = []
    for run in runs:
        peers = [p for p in PEERS if any("median_ms" in e["results"].get(p, {}) for e in run["cases"])]
        threads = run["threads"]
        versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
        lines += [f"### {threads} thread{'s' if threads > 1 else ''}", "",
                  f"{run['cpu']}, {run['date']}; {versions}; {run['rounds']} rounds.", ""]
        head = ["case", "ms", "algorithm", "share", *peers, "best peer", "ratio", "of minima", "spread"]
        lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        lines += [table_row(entry, peers) for entry in run["cases"]]
        lines += ["", *means(run, peers), ""]
    return "\n".join(lines)


def means(run, peers):
    groups = {}
    for entry in run["cases"]:
        groups.setdefault(kind_of(entry["case"]), []).append(entry["results"])
    head = ["geometric mean of the ratios", "cases", "to the best peer", "lowest", *peers]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for kind, results in groups.items():
        best = [pair[1] for pair in map(best_peer, results) if pair]
        if not best:
            continue
        cells = [kind, str(len(best)), f"{geometric_mean(best):.2f}", f"{min(best):.2f}"]
        for peer in peers:
            mean = geometric_mean(r[peer] for r in map(ratios, results) if peer in r)
            cells.append(f"{mean:.2f}" if mean else "-")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def with_tables(page, tables):
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables.strip()}\n\n{END}{after}"


# --- the systems ---

class System:
    """A process that answers a line with a line."""

    def __init__(self, name, command, threads, version=None):
        self.name, self.command, self.threads = name, command, threads
        self.version, self.greets = version, version is None
        self.start()

    def start(self):
        environment = dict(os.environ, OMP_NUM_THREADS=str(self.threads),
                           # Results of calls reuse their memory, as those of Convpool do.
                           MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_=str(1 << 40), MALLOC_TOP_PAD_=str(64 << 20))
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL, env=environment)
        if self.greets:
            line = self.process.stdout.readline()
            if not line:
                raise OSError(f"{self.name} does not start: {' '.join(map(str, self.command))}")
            self.version = json.loads(line)["version"]

    def ask(self, case):
        try:
            self.process.stdin.write(json.dumps(case) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line:
            return json.loads(line)
        self.stop()
        self.start()
        return {"error": "it crashed"}

    def stop(self):
        self.process.communicate()


def start_systems(options):
    cpus = sorted(os.sched_getaffinity(0))[:options.threads]
    os.sched_setaffinity(0, cpus)  # children inherit it
    tool = str(options.tool.resolve())
    version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    ours = System(OURS, [tool, "bench", "ops", "--cases", "-", "--json", "--threads", str(options.threads),
                         "--seconds", str(options.seconds)], options.threads, version)
    systems = [ours]
    for name in options.peers:
        python = options.environment / "bin" / "python"
        command = ([options.environment / "bin" / "convpool-onednn"] if name == "onednn" else
                   [python, HERE / "peers" / "worker.py", name, str(options.threads)])
        try:
            systems.append(System(name, command, options.threads))
        except OSError as error:
            print(f"compare.py: {error}", file=sys.stderr)
    return systems


def measure_case(systems, case, rounds, seconds):
    answers = {system.name: [] for system in systems}
    for _ in range(rounds):
        for system in systems:
            if any("error" in answer for answer in answers[system.name]):
                continue
            time.sleep(PAUSE)
            # The tool knows no such key: it has been told by an option.
            answers[system.name].append(system.ask(case if system.name == OURS else {**case, "seconds": seconds}))
    return {name: summary(rounds) for name, rounds in answers.items()}


def selected_cases(options):
    pattern = re.compile(options.select)
    files = options.cases or sorted(path for path in (HERE / "cases").glob("*.jsonl"))
    cases = [case for path in files for case in read_cases(Path(path).read_text())]
    return [case for case in cases if pattern.search(case["name"])]


def cpu_name():
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1) if found else platform.processor()


def write_json(path, run):
    if path:
        beside = Path(str(path) + ".part")
        beside.write_text(json.dumps(run, indent=1) + "\n")
        beside.replace(path)


def run_all(options):
    cases = selected_cases(options)
    systems = start_systems(options)
    run = {"date": datetime.date.today().isoformat(), "cpu": cpu_name(), "threads": options.threads,
           "rounds": options.rounds, "seconds": options.seconds,
           "versions": {system.name: system.version for system in systems}, "cases": []}
    for number, case in enumerate(cases, 1):
        results = measure_case(systems, case, options.rounds, options.seconds)
        run["cases"].append({"case": case, "results": results})
        best = best_peer(results)
        said = f"{best[1]:.2f} of {best[0]}" if best else results[OURS].get("error", "no peer has it")
        print(f"{number}/{len(cases)} {case['name']}: {said}", file=sys.stderr, flush=True)
        write_json(options.json, run)
    for system in systems:
        system.stop()
    return run


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cases", nargs="+", metavar="FILE", help="default: all of bench/cases")
    parser.add_argument("--select", default="", metavar="REGEX", help="only cases whose name matches")
    parser.add_argument("--peers", default=",".join(PEERS), help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="of each system, on as many CPUs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each system in each round")
    parser.add_argument("--json", metavar="FILE", help="results so far, written after each case")
    parser.add_argument("--report", nargs="+", metavar="FILE", help="print the tables of these, and run nothing")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables there instead of printing them")
    parser.add_argument("--tool", type=Path, default=HERE.parent / "build/release/convpool")
    parser.add_argument("--environment", type=Path, default=HERE / "environment", help="made by setup-peers.sh")
    options = parser.parse_args(arguments)
    options.peers = [name for name in options.peers.split(",") if name]
    unknown = set(options.peers) - set(PEERS)
    if unknown:
        parser.error("no such peer: " + ", ".join(sorted(unknown)))
    return options


def main():
    options = parse_options(sys.argv[1:])
    runs = [json.loads(Path(path).read_text()) for path in options.report] if options.report else [run_all(options)]
    if options.write:
        options.write.write_text(with_tables(options.write.read_text(), markdown(runs)))
    else:
        print(markdown(runs))


if __name__ == "__main__":
    main()
