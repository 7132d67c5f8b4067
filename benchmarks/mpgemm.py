#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with weights of few bits beside ONNX Runtime, OpenVINO, ggml and the
machine's limits.

    .venv/bin/python benchmarks/mpgemm.py [--bits 4 2 t] [--group 32 128]
        [--kind memory cache prefill] [--shape 4096x4096] [--threads 1 2]
        [--clock wall|cpu] [--peers ggml] [--mcpu CPU] [--set OPTION=VALUE]
    .venv/bin/python benchmarks/mpgemm.py --sweep [--all]

Activations are f32 and everybody may round them to 8 bits, as MatMulNBits says with
accuracy_level 4. "t" is ternary: 2 bits in the model, and only three values. One row
is multiplied with weights that come from DRAM, since everybody goes round copies of
256 MiB in all, or from the cache; 512 rows are called prefill. Each peer counts with
the fastest of its ways, which is named; what a peer cannot do, it does not do.

The limit of one row is a plain read of the model's codes, scales and zero points, that
of many the dot products of bytes, with the instructions of --mcpu. Times are the best of
all rounds, per product. --sweep looks for cliffs: mpgemm_sweep.py.
"""

import argparse
import itertools
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple, Optional

import lutra
import mpgemm_sweep
from harness import (
    SUMMARY,
    Int8Limit,
    LookupLimit,
    MemoryLimit,
    Peak,
    add_turn_options,
    aligned,
    check_turn_options,
    summary,
    take_turns,
)
from mpgemm_models import Case, Data
from mpgemm_peers import PEERS, Way, peers

PREFILL_ROWS = 512
# What is larger does not stay in the cache.
CACHE_BYTES = 12 << 20
READ_BYTES = 64 << 20
KINDS = {
    "memory": "1 row, from memory", "cache": "1 row, from the cache",
    "prefill": f"{PREFILL_ROWS} rows",
}  # fmt: skip
SHAPES = [(4096, 4096), (4096, 14336)]
FORMATS = [("4", 32), ("4", 128), ("2", 128), ("t", 128), ("8", 32), ("3", 128), ("1", 128)]


class Lutra(Way):
    def __init__(self, data, artifact, threads):
        super().__init__("Lutra", "")
        self.model = lutra.load(artifact, threads=threads)
        self.inputs = list(data.inputs)
        self.last = f"y{data.case.copies - 1}"

    def run(self):
        self.outputs = self.model(*self.inputs)

    def result(self):
        return self.outputs[self.last]


class Outcome(NamedTuple):
    case: Case
    kind: str
    threads: int
    limit: float
    ours: Optional[float]
    theirs: dict
    wrong: list


def compile_case(data, options):
    """Where the artifact lies, or None where the compiler refuses."""
    artifact = data.path.with_suffix(".so")
    try:
        lutra.compile(data.path, artifact, mcpu=options.mcpu, **options.set)
    except lutra.CompileError as error:
        print(f"refused: {str(error).splitlines()[0]}", flush=True)
        return None
    return artifact


def read_limit(case, threads):
    data = aligned((case.bytes * case.copies // 512 * 512,), "u1")
    data[...] = 1
    return MemoryLimit(threads, data, times=max(1, READ_BYTES // data.nbytes))


def measure(kind, data, artifact, threads, options):
    case = data.case
    ways = [Lutra(data, artifact, threads)] if artifact else []
    ways += peers(data, threads, options.peers, options.clock)
    turns = {way.who: way.turn(options.clock) for way in ways}
    errors = {way: way.error(data) for way in ways}
    wrong = [f"{way.who}: error {error:.1e}" for way, error in errors.items()
             if not error < way.tolerance]  # fmt: skip
    dots = turns["int8"] = Peak.of(Int8Limit, threads, options.clock, options.mcpu)
    turns["lookup"] = Peak.of(LookupLimit, threads, options.clock, options.mcpu)
    if kind != "prefill":
        read = turns["read"] = read_limit(case, threads)
    seconds = take_turns(turns, options.rounds, 1, options.budget, options.clock)
    best = {name: min(times) / case.copies for name, times in seconds.items()}
    if kind == "prefill":
        limit = case.operations / dots.rate if dots.rate else 0
    else:
        limit = min(seconds["read"]) / read.bytes * case.bytes
    theirs = {way.who: (best[way.who], way.way) for way in ways if way.who in PEERS}
    return Outcome(case, kind, threads, limit, best.get("Lutra"), theirs, wrong)


HEADER = (
    "bits group rows     k     n from     threads  limit (ms)      Lutra  of limit"
    + "".join(f" {who:>12}" for who in PEERS)
    + "  speedup"
)


def show(outcome):
    def ms(seconds):
        return f"{seconds * 1e3:.3f}"

    case, ours = outcome.case, outcome.ours
    best = min((time for time, _ in outcome.theirs.values()), default=None)
    times = [outcome.theirs.get(who, (None,))[0] for who in PEERS]
    columns = [
        f"{case.bits:>4} {case.group:5} {case.rows:4} {case.k:5} {case.n:5}",
        f"{outcome.kind:8} {outcome.threads:7} {ms(outcome.limit):>11}",
        f"{ms(ours):>10} {outcome.limit / ours:9.0%}" if ours else f"{'-':>10} {'-':>9}",
        *(f"{ms(time) if time else '-':>12}" for time in times),
        f"{best / ours:8.2f}" if ours and best else f"{'-':>8}",
        " " + ", ".join(way for _, way in outcome.theirs.values()),
        *outcome.wrong,
    ]
    print(*columns, flush=True)


def summarize(outcomes, options):
    print(f"\n{SUMMARY}")
    for kind, threads in itertools.product(KINDS, options.threads):
        chosen = [o for o in outcomes if (o.kind, o.threads) == (kind, threads)]
        label = f"{KINDS[kind]}, {threads} thr."
        if ours := [outcome for outcome in chosen if outcome.ours]:
            pairs = [(o.ours, o.theirs.values()) for o in ours if o.theirs]
            speedups = [min(theirs)[0] / time for time, theirs in pairs]
            print(summary(label, speedups, [o.limit / o.ours for o in ours]))
        elif chosen:
            print(f"{label}: all refused")
        if shares := [o.limit / min(o.theirs.values())[0] for o in chosen if o.theirs]:
            print(summary("    the best peer", [], shares))
    for threads in options.threads:
        dots, looks = (Peak.of(limit, threads, options.clock, options.mcpu).rate / 1e9
                       for limit in (Int8Limit, LookupLimit))  # fmt: skip
        print(f"{threads} threads: int8 dots {dots:.0f} GOP/s, lookups {looks / 2:.0f} G/s")


def chosen_cases(options):
    """(kind, case)"""
    formats = [
        (bits, group) for bits, group in FORMATS
        if not options.bits or bits in options.bits
        if not options.group or group in options.group
    ]  # fmt: skip
    shapes = options.shape or SHAPES
    for kind, shape, (bits, group) in itertools.product(KINDS, shapes, formats):
        rows = PREFILL_ROWS if kind == "prefill" else 1
        case = Case(bits, group, rows, *shape)
        fits = case.bytes <= CACHE_BYTES if kind == "cache" else True
        small = kind != "prefill" or shape == SHAPES[0] or options.shape
        if fits and small and kind in (options.kind or KINDS):
            yield kind, case.from_memory() if kind == "memory" else case


def make_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bits", nargs="+")
    parser.add_argument("--group", type=int, nargs="+")
    parser.add_argument("--kind", nargs="+", choices=KINDS)
    parser.add_argument("--shape", nargs="+", type=shape, help="KxN")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--mcpu", default="native")
    parser.add_argument("--set", nargs="*", default=[], help="options of lutra.compile")
    add_turn_options(parser, rounds=9)
    parser.add_argument("--budget", type=float, default=10, help="seconds of a case")
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--all", action="store_true", help="of the sweep")
    return parser


def shape(text):
    """A product's K and N."""
    k, n = map(int, text.split("x"))
    return k, n


def main():
    parser = make_parser()
    options = parser.parse_args()
    check_turn_options(parser, options)
    options.set = dict(pair.split("=", 1) for pair in options.set)
    print(f"load {os.getloadavg()[0]:.2f} before", flush=True)
    if options.sweep:
        sys.exit(mpgemm_sweep.run(options, Lutra, compile_case))
    print(HEADER)
    outcomes = []
    for kind, case in chosen_cases(options):
        with tempfile.TemporaryDirectory() as folder:
            data = Data(case, Path(folder))
            artifact = compile_case(data, options)
            for threads in options.threads:
                outcome = measure(kind, data, artifact, threads, options)
                show(outcome)
                outcomes.append(outcome)
    summarize(outcomes, options)
    sys.exit(any(outcome.wrong for outcome in outcomes))


if __name__ == "__main__":
    main()
