#!/usr/bin/env python3
"""bench/compare.py and what its systems share, without any other system: compare.py TOOL"""
import io
import json
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stderr
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path[:0] = [str(BENCH), str(BENCH / "peers")]
import compare  # noqa: E402
import worker  # noqa: E402

TOOL = sys.argv.pop(1)
CASE = {"name": "3x3", "op": "conv", "input": [1, 8, 8, 32], "filters": 32, "kernel": [3, 3], "padding": "same"}


class Numbers(unittest.TestCase):
    def test_rounds_become_one_result(self):
        rounds = [{"median_ms": m, "min_ms": m / 2, "variant": str(m)} for m in (3, 1, 2)]
        self.assertEqual(compare.summary(rounds),
                         {"median_ms": 2, "min_ms": 0.5, "spread": 3, "variant": "2"})
        self.assertEqual(compare.summary(rounds + [{"error": "no"}]), {"error": "no"})
        self.assertEqual(compare.summary([]), {"error": "not run"})

    def test_the_fastest_peer_counts(self):
        results = {"convpool": {"median_ms": 2}, "torch": {"median_ms": 3}, "ncnn": {"median_ms": 1},
                   "onednn": {"error": "no"}}
        self.assertEqual(compare.ratios(results), {"torch": 1.5, "ncnn": 0.5})
        self.assertEqual(compare.best_peer(results), ("ncnn", 0.5))
        self.assertIsNone(compare.best_peer({"convpool": {"median_ms": 2}}))
        self.assertIsNone(compare.best_peer({"convpool": {"error": "no"}, "torch": {"median_ms": 3}}))

    def test_means_are_geometric(self):
        self.assertAlmostEqual(compare.geometric_mean([0.5, 2, 8]), 2)
        self.assertIsNone(compare.geometric_mean([]))

    def test_groups(self):
        self.assertEqual(compare.kind_of(CASE), "conv 3x3/1")
        self.assertEqual(compare.kind_of({**CASE, "stride": [2, 2]}), "conv, others")
        self.assertEqual(compare.kind_of({**CASE, "groups": 32}), "depthwise")
        self.assertEqual(compare.kind_of({**CASE, "groups": 4, "pass": "backward_input"}), "grouped, gradient by input")
        self.assertEqual(compare.kind_of({"op": "max-pool", "input": [1, 4, 4, 8]}), "max-pool")

    def test_tables(self):
        ours = {"median_ms": 2, "min_ms": 1, "spread": 1, "algorithm": "direct", "share": 0.5, "bound": "L2"}
        entry = {"case": CASE, "results": {"convpool": ours, "torch": {"median_ms": 3, "min_ms": 2, "spread": 1.1},
                                           "ncnn": {"error": "no"}}}
        run = {"threads": 1, "versions": {"convpool": "1", "torch": "2"}, "cpu": "a CPU", "date": "today", "rounds": 3,
               "cases": [entry]}
        text = compare.markdown([run])
        self.assertIn("| 3x3 | 2 | direct | 50 % of L2 | 3 | torch | **1.50** | 2.00 | 1.10 |", text)
        self.assertIn("| conv 3x3/1 | 1 | 1.50 | 1.50 | 1.50 |", text)
        lost = {"case": CASE, "results": {"convpool": {"error": "no"}}}
        self.assertIn("| 3x3 | - | - | - | - | - | - | - | - |", compare.markdown([{**run, "cases": [entry, lost]}]))

    def test_tables_replace_those_of_a_page(self):
        page = f"head\n{compare.BEGIN}\nold\n{compare.END}\ntail\n"
        self.assertEqual(compare.with_tables(page, "new"), f"head\n{compare.BEGIN}\n\nnew\n\n{compare.END}\ntail\n")
        with self.assertRaises(ValueError):
            compare.with_tables("head\n", "new")


class Cases(unittest.TestCase):
    def test_defaults(self):
        case = worker.parse(json.dumps({**CASE, "seconds": 1}))
        self.assertEqual((case.begin, case.end, case.output), ([1, 1], [1, 1], [8, 8]))
        self.assertEqual((case.direction, case.groups, case.stride, case.relu), ("forward", 1, [1, 1], False))
        pool = worker.parse('{"name": "p", "op": "max-pool", "input": [2, 9, 4], "kernel": [2]}')
        self.assertEqual((pool.stride, pool.output, pool.filters), ([2], [4], 4))
        up = worker.parse('{"name": "t", "op": "conv-transpose", "input": [1, 4, 4, 8], "filters": 2, "kernel": [4, 4],'
                          ' "stride": [2, 2], "padding": [1, 1, 1, 1]}')
        self.assertEqual(up.output, [8, 8])
        with self.assertRaises(worker.Unsupported):
            worker.parse(json.dumps({**CASE, "other": 1}))

    def test_what_is_too_much_comes_after(self):
        self.assertEqual(worker.padding("same", [8], [3], [2], [1]), ([0], [1]))
        self.assertEqual(worker.padding([1, 2], [8], [3], [2], [1]), ([1], [2]))

    def test_the_fastest_way_counts(self):
        def fail():
            raise ValueError("no such thing")
        name, _ = worker.fastest({"slow": lambda: 2.0, "fast": lambda: 1.0, "none": fail})
        self.assertEqual(name, "fast")
        with self.assertRaisesRegex(worker.Unsupported, "none: no such thing"):
            worker.fastest({"none": fail})

    def test_names_are_unique_and_the_peers_understand_all(self):
        names = []
        for path in sorted((BENCH / "cases").glob("*.jsonl")):
            for case in compare.read_cases(path.read_text()):
                names.append(case["name"])
                if path.stem != "operations":
                    worker.parse(json.dumps(case))
        self.assertEqual(len(names), len(set(names)))
        self.assertGreater(len(names), 100)


class Runs(unittest.TestCase):
    def test_the_tool_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            cases, results = Path(folder, "cases.jsonl"), Path(folder, "results.json")
            cases.write_text(json.dumps(CASE) + "\n\n" + json.dumps({**CASE, "name": "bad", "kernel": [99, 99],
                                                                     "padding": "valid"}) + "\n")
            run = [sys.executable, str(BENCH / "compare.py"), "--tool", TOOL, "--peers", "", "--seconds", "0.001"]
            done = subprocess.run([*run, "--cases", str(cases), "--rounds", "2", "--json", str(results)],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("| 3x3 | ", done.stdout)
            first, second = json.loads(results.read_text())["cases"]
            self.assertGreater(first["results"]["convpool"]["median_ms"], 0)
            self.assertIn("error", second["results"]["convpool"])
            again = subprocess.run([*run, "--report", str(results)], capture_output=True, text=True)
            self.assertEqual(again.stdout, done.stdout)

    def test_a_crash_is_an_answer(self):
        script = ("import sys; print('{\"version\": \"1\"}', flush=True)\n"
                  "for line in sys.stdin:\n"
                  "    if 'crash' in line: sys.exit(1)\n"
                  "    print('{\"median_ms\": 1, \"min_ms\": 1}', flush=True)")
        system = compare.System("fake", [sys.executable, "-c", script], 1)
        self.assertEqual(system.version, "1")
        self.assertEqual(system.ask({"name": "crash"}), {"error": "it crashed"})
        self.assertEqual(system.ask({"name": "good"}), {"median_ms": 1, "min_ms": 1})
        system.stop()

    def test_unknown_peers_are_refused(self):
        with redirect_stderr(io.StringIO()), self.assertRaises(SystemExit):
            compare.parse_options(["--peers", "nobody"])


if __name__ == "__main__":
    unittest.main()
