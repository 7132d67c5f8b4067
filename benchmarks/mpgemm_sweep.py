# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""mpgemm.py --sweep: products of one row of odd sizes and formats, in search of cliffs.

Two cases are neighbours where they differ in one thing only, by one step. Bytes are
what grows with sizes and bits: a case with more of them should take no less time, and
no more time for each byte. By what factor one of the two fails is the ratio of a pair;
the worst of each direction is printed, and should be below 2. What a call costs at
least is part of it. With --all the sweep takes half an hour without peers, and hours with
them; else it goes along one direction from some cases.
"""

import itertools
import tempfile
from pathlib import Path

from harness import take_turns
from mpgemm_models import Case, Data
from mpgemm_peers import fastest, onnx_runtime_ways

# Ends of what vectors and tiles cover, and in between.
N = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 96, 100, 127, 128, 129,
     160, 191, 192, 193, 224, 255, 256, 257, 288, 299, 300]  # fmt: skip
K = [33, 64, 96, 4096, 4097]
BITS = list("12345678")
ZEROS = ["none", "packed", "float"]
GROUP = 32
DIRECTIONS = {"n": N, "k": K, "bits": BITS, "zero": ZEROS}
# From where a shorter sweep goes along each direction.
CENTRES = [{"n": n, "k": k, "bits": bits, "zero": zero}
           for n, k, bits, zero in ((100, 4097, "4", "packed"), (257, 4096, "2", "none"),
                                    (33, 96, "3", "float"))]  # fmt: skip
# A model has so many bytes, which a core has in its own cache, or nodes, lest a call is all
# that is measured.
MODEL_BYTES, MODEL_NODES = 1 << 20, 64


def make_case(n, k, bits, zero):
    case = Case(bits, GROUP, 1, k, n, zero)
    return case._replace(copies=max(1, min(MODEL_NODES, MODEL_BYTES // case.bytes)))


def chosen_cases(everything):
    if everything:
        return [make_case(*values) for values in itertools.product(*DIRECTIONS.values())]
    cases = {}
    for centre, (name, values) in itertools.product(CENTRES, DIRECTIONS.items()):
        for value in values:
            cases[make_case(**{**centre, name: value})] = None
    return list(cases)


def measure(case, threads, options, make_ours, compile_case):
    """{who: seconds of one product}"""
    with tempfile.TemporaryDirectory() as folder:
        data = Data(case, Path(folder))
        ways = []
        if artifact := compile_case(data, options):
            ways.append(make_ours(data, artifact, threads))
        if "ONNX Runtime" in options.peers:
            ways += filter(None, [fastest(onnx_runtime_ways(data, threads), options.clock)])
        turns = {way.who: way.turn(options.clock) for way in ways}
        wrong = [f"{way.who}: error {error:.1e}" for way in ways
                 if not (error := way.error(data)) < way.tolerance]  # fmt: skip
        seconds = take_turns(turns, options.rounds, 1, options.budget, options.clock)
    return {who: min(times) / case.copies for who, times in seconds.items()}, wrong


def pairs(times, name):
    """Neighbours along a direction, the one with fewer bytes first."""
    values = DIRECTIONS[name]
    for case in times:
        value = getattr(case, name)
        at = values.index(value) + 1
        # In a shorter sweep neighbours are those along a way from a centre.
        same = {key: getattr(case, key) for key in DIRECTIONS}
        for next_value in values[at:]:
            neighbour = make_case(**{**same, name: next_value})
            if neighbour in times:
                yield sorted((case, neighbour), key=lambda each: each.bytes)
                break


def ratio(small, large, times):
    """How much worse than smooth: 1 where it is."""
    taken = times[large] / times[small]
    return max(1, taken / (large.bytes / small.bytes), 1 / taken)


def report(who, threads, times):
    for name in DIRECTIONS:
        ratios = [(ratio(small, large, times), small, large)
                  for small, large in pairs(times, name)]  # fmt: skip
        if ratios:
            worst, small, large = max(ratios)
            us = " and ".join(f"{times[case] * 1e6:.2f}" for case in (small, large))
            print(f"{who:12} {threads} thr. along {name:4}: {len(ratios):4} pairs, worst "
                  f"{worst:5.2f}, {describe(small)} and {describe(large)}: {us} us")  # fmt: skip


def describe(case):
    return f"[{case.n}x{case.k}, {case.bits} bits, {case.zero}]"


def run(options, make_ours, compile_case):
    """The exit status: whether any result was wrong."""
    failed = False
    for threads in options.threads:
        times = {}
        print("bits zero       k    n  threads  us, and ns per byte")
        for case in chosen_cases(options.all):
            taken, wrong = measure(case, threads, options, make_ours, compile_case)
            failed |= bool(wrong)
            line = f"{case.bits:>4} {case.zero:6} {case.k:5} {case.n:4} {threads:8}"
            for who, seconds in taken.items():
                times.setdefault(who, {})[case] = seconds
                line += f"  {who} {seconds * 1e6:9.2f} {seconds * 1e9 / case.bytes:8.3f}"
            print(line, *wrong, flush=True)
        for who, each in times.items():
            report(who, threads, each)
    return failed
