#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention beside ONNX Runtime, PyTorch and the machine's limit.

    .venv/bin/python benchmarks/attention.py [--all] [--type f32 bf16] [--depth 64]
        [--queries 1 8] [--keys 2048] [--group 4] [--mask causal] [--threads 1 2]
        [--clock wall|cpu] [--form decomposed|attention] [--dynamic]

Without a choice of cases, a few of all. Each peer counts with the fastest of its
ways: ONNX Runtime with MultiHeadAttention and with GroupQueryAttention on a shared
cache (both f32), PyTorch with scaled_dot_product_attention in f32 and, where we
compute in bf16, in bf16. PyTorch is left out where it is not installed.

The limit is what takes longer: the multiply-adds of all pairs that the mask leaves,
or, with few queries, a plain read of K and V, which then come from DRAM: everybody
goes round many copies. Times are the best of all rounds, per attention.
"""

import argparse
import itertools
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple, Optional

import lutra
import ml_dtypes
import numpy as np
from attention_models import FORMS
from attention_peers import as_array, peers, torch
from harness import (
    SUMMARY,
    DotLimit,
    FmaLimit,
    MemoryLimit,
    Peak,
    add_turn_options,
    aligned,
    check_turn_options,
    summary,
    take_turns,
    typical,
)

# With no more queries, K and V are read from DRAM.
FEW_QUERIES = 8
COPIES_BYTES = 128 << 20
# Heads are left out of what would take longer.
MOST_FLOP = 7e10
TOLERANCE = {"f32": 1e-4, "bf16": 3e-2}
DTYPES = {"f32": np.dtype(np.float32), "bf16": np.dtype(ml_dtypes.bfloat16)}


class Case(NamedTuple):
    type: str
    depth: int
    queries: int
    keys: int
    group: int
    causal: bool
    heads: int = 0

    @property
    def pairs(self):
        """Of a query and a key that it sees."""
        hidden = self.queries * (self.queries - 1) // 2 if self.causal else 0
        return self.queries * self.keys - hidden

    @property
    def flop(self):
        return 4 * self.heads * self.depth * self.pairs

    @property
    def cache_bytes(self):
        heads = self.heads // self.group
        return 2 * heads * self.keys * self.depth * DTYPES[self.type].itemsize

    def with_heads(self):
        heads = 16 if self.depth == 64 else 32
        while heads > 8 and self._replace(heads=heads).flop > MOST_FLOP:
            heads //= 2
        return self._replace(heads=heads)

    def __str__(self):
        mask = "causal" if self.causal else "full"
        heads = f"{self.heads}/{self.heads // self.group}"
        return (f"{self.type:4} {self.depth:5} {heads:>5} {self.queries:7} "
                f"{self.keys:5} {mask:6}")  # fmt: skip


def all_cases(types, depths):
    queries, keys, groups = (1, 8, 512, 2048), (512, 2048, 8192), (1, 4, 8)
    return [
        Case(*case).with_heads()
        for case in itertools.product(types, depths, queries, keys, groups, (False, True))
        # The last query sees all keys: one query has no mask.
        if case[3] >= case[2] and not (case[2] == 1 and case[5])
    ]


def few_cases(types):
    return [
        Case(kind, *case).with_heads()
        for kind in types
        for case in (
            (64, 1, 2048, 1, False),
            (128, 1, 2048, 4, False),
            (128, 1, 8192, 8, False),
            (64, 8, 2048, 1, False),
            (128, 8, 8192, 4, True),
            (64, 512, 512, 1, True),
            (64, 512, 2048, 1, False),
            (128, 512, 2048, 4, True),
            (64, 2048, 2048, 1, False),
            (128, 2048, 2048, 8, True),
        )
    ]


class Data:
    """Q, and copies of K and V in the case's type and in f32."""

    def __init__(self, case):
        random = np.random.default_rng(1)
        few = case.heads // case.group
        count = max(1, math.ceil(COPIES_BYTES / case.cache_bytes))
        self.copies = count if case.queries <= FEW_QUERIES else 1
        self.q = self.make(random, case, (1, case.heads, case.queries, case.depth))
        self.caches = self.make(
            random, case, (2, 1, few, case.keys, case.depth), self.copies
        )
        self.expected = self.reference(case)

    @staticmethod
    def make(random, case, shape, copies=None):
        """{type: array}, of the same values."""
        values = random.standard_normal(shape, np.float32).astype(DTYPES[case.type])
        arrays = {}
        for kind in {case.type, "f32"}:
            arrays[kind] = aligned(([copies] if copies else []) + list(shape), DTYPES[kind])
            arrays[kind][...] = values
        return arrays

    def reference(self, case):
        """Of some of the queries, in f64: (their numbers, results)."""
        rows = np.unique(np.linspace(0, case.queries - 1, 12).astype(int))
        k, v = self.caches["f32"][0, :, 0]
        seen = np.arange(case.keys) <= rows[:, None] + case.keys - case.queries
        outputs = []
        for head, q in enumerate(self.q["f32"][0, :, rows].swapaxes(0, 1)):
            scores = q @ k[head // case.group].astype(np.float64).T / math.sqrt(case.depth)
            scores = np.where(seen | (not case.causal), scores, -np.inf)
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            shares /= shares.sum(-1, keepdims=True)
            outputs.append(shares @ v[head // case.group])
        return rows, np.stack(outputs)

    def error(self, output):
        """The greatest, for a greatest result of 1."""
        rows, expected = self.expected
        difference = output[0][:, rows].astype(np.float64) - expected
        return np.abs(difference).max() / np.abs(expected).max()


def lutra_runs(case, data, model):
    """One function for each copy; what it returns is [1, heads, queries, depth]."""
    q, caches = data.q[case.type], data.caches[case.type]
    length = [np.array([case.keys])] * (len(model.inputs) - 3)
    return [lambda kv=kv: model(q, kv[0], kv[1], *length)["y"] for kv in caches]


def compile_case(case, folder, options):
    """Where the artifact lies, or None where the compiler refuses."""
    model = FORMS[options.form](case, options.dynamic)
    dims = {"dim": {"queries": (1, None), "keys": (1, None)}} if options.dynamic else {}
    try:
        lutra.compile(model, folder / "attention.so", mcpu="native", **dims)
    except lutra.CompileError as error:
        print(f"{case} refused: {str(error).splitlines()[0]}", flush=True)
        return None
    return folder / "attention.so"


def arithmetic(case, threads, clock):
    """The limit of its multiply-adds."""
    bf16 = case.type == "bf16" and DotLimit(threads).flop
    return Peak.of(DotLimit if bf16 else FmaLimit, threads, clock)


class Outcome(NamedTuple):
    case: Case
    threads: int
    ours: Optional[float]
    theirs: dict
    limit: float
    kind: str
    wrong: list


def errors(ways, data):
    for (who, way), runs in ways.items():
        error = data.error(as_array(runs[-1]()))
        if not error < TOLERANCE["bf16" if way == "bf16" else "f32"]:
            yield f"{who} {way}: error {error:.1e}"


def measure(case, threads, data, artifact, folder, options):
    ways = {}
    if artifact:
        model = lutra.load(artifact, threads=threads)
        ways["Lutra", case.type] = lutra_runs(case, data, model)
    ways |= peers(case, data, folder, threads, FEW_QUERIES)
    wrong = list(errors(ways, data))
    peak = arithmetic(case, threads, options.clock)
    turns = {name: typical(runs, options.clock) for name, runs in ways.items()}
    turns[peak.name] = peak
    if case.queries <= FEW_QUERIES:
        read = turns["read"] = MemoryLimit(threads, data.caches[case.type])
    seconds = take_turns(turns, options.rounds, 1, options.budget, options.clock)
    best = {name: min(times) for name, times in seconds.items()}
    bounds = {peak.name: case.flop / peak.rate}
    if "read" in best:
        bounds["read"] = best["read"] / read.bytes * case.cache_bytes
    kind = max(bounds, key=bounds.get)
    theirs = {}
    for name in ways.keys() - {("Lutra", case.type)}:
        theirs[name[0]] = min(theirs.get(name[0], math.inf), best[name])
    ours = best.get(("Lutra", case.type))
    return Outcome(case, threads, ours, theirs, bounds[kind], kind, wrong)


HEADER = (
    "type depth heads queries  keys mask   threads  limit (ms)      Lutra  of limit   "
    "     ORT    PyTorch  speedup"
)


def show(outcome):
    def ms(seconds):
        return f"{seconds * 1e3:10.3f}"

    ours, best = outcome.ours, min(outcome.theirs.values())
    mine = f"{ms(ours)} {outcome.limit / ours:9.0%}" if ours else f"{'-':>10} {'-':>9}"
    theirs = [outcome.theirs.get(name) for name in ("ONNX Runtime", "PyTorch")]
    columns = [
        f"{outcome.case} {outcome.threads:7} {outcome.kind:>4} {ms(outcome.limit)[3:]}",
        mine,
        *(ms(time) if time else f"{'-':>10}" for time in theirs),
        f"{best / ours:8.2f}" if ours else f"{'-':>8}",
        *outcome.wrong,
    ]
    print(*columns, flush=True)


def summarize(outcomes):
    """By type, number of queries and threads: us, and the best peer."""
    print(f"\n{SUMMARY}")
    groups = {1: "1 query", 8: "8 queries", 512: "512 queries or more"}
    for kind, queries, threads in itertools.product(
        DTYPES, groups, sorted({outcome.threads for outcome in outcomes})
    ):
        chosen = [
            outcome
            for outcome in outcomes
            if outcome.case.type == kind
            and min(outcome.case.queries, max(groups)) == queries
            and outcome.threads == threads
        ]
        label = f"{kind}, {groups[queries]}, {threads} thr."
        best = [min(outcome.theirs.values()) for outcome in chosen]
        if ours := [outcome for outcome in chosen if outcome.ours]:
            speedups = [min(outcome.theirs.values()) / outcome.ours for outcome in ours]
            shares = [outcome.limit / outcome.ours for outcome in ours]
            print(summary(label, speedups, shares))
        elif chosen:
            print(f"{label}: all refused")
        if chosen:
            shares = [outcome.limit / time for outcome, time in zip(chosen, best)]
            print(summary("    the best peer", [], shares))


def chosen_cases(options):
    masks = {"full": False, "causal": True}
    choice = {"depth": options.depth, "queries": options.queries, "keys": options.keys,
              "group": options.group,
              "causal": options.mask and [masks[mask] for mask in options.mask]}  # fmt: skip
    if not options.all and not any(choice.values()):
        return few_cases(options.type)
    return [
        case
        for case in all_cases(options.type, (64, 128))
        if all(not among or getattr(case, name) in among for name, among in choice.items())
    ]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--type", nargs="+", choices=DTYPES, default=["f32"])
    parser.add_argument("--depth", type=int, nargs="+", choices=(64, 128))
    for name in ("queries", "keys", "group"):
        parser.add_argument(f"--{name}", type=int, nargs="+")
    parser.add_argument("--mask", nargs="+", choices=("full", "causal"))
    parser.add_argument("--form", choices=FORMS, default="decomposed")
    parser.add_argument("--dynamic", action="store_true")
    add_turn_options(parser, rounds=15)
    parser.add_argument("--budget", type=float, default=5, help="seconds of a case")
    options = parser.parse_args()
    check_turn_options(parser, options)

    cases = chosen_cases(options)
    if not cases:
        parser.error("expected a choice among the sizes of --all, with no more queries than keys")
    if not torch:
        print("PyTorch is not installed: benchmarks/requirements.txt")
    print(f"load {os.getloadavg()[0]:.2f} before\n{HEADER}", flush=True)
    outcomes = []
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            data = Data(case)
            artifact = compile_case(case, folder, options)
            for threads in options.threads:
                outcome = measure(case, threads, data, artifact, folder, options)
                show(outcome)
                outcomes.append(outcome)
    summarize(outcomes)
    sys.exit(any(outcome.wrong for outcome in outcomes))


if __name__ == "__main__":
    main()
