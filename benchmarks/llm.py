#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A language model of 1B weights of 4 bits beside ONNX Runtime and llama.cpp.

    .venv/bin/python benchmarks/llm.py [--folder DIR] [--threads 1 2] [--prompt 512]
        [--new 16] [--layers 2] [--who Lutra "ONNX Runtime" llama.cpp] [--rounds 3]

The model has LLaMA's shape and random weights, in groups of 32; the same for everybody
(llm_model.py). It goes into DIR (default: a temporary folder), and is made again if it
is not there. Measured are the time and memory of compiling, the memory of running each
alone, and then, in turns, tokens per second of a prompt and of writing one token after
the other behind it. The limit of a prompt is the products alone, as dot products of
bytes, that of writing a plain read of the matrices. Logits are compared with those of
ONNX Runtime, or of whom comes first.
"""

import argparse
import functools
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import llama_cpp
import llm_gguf
import llm_model
import lutra
import numpy as np
from harness import (
    CLOCKS,
    Int8Limit,
    MemoryLimit,
    Peak,
    add_turn_options,
    aligned,
    check_turn_options,
    median,
    take_turns,
)
from llm_model import TINY, Sizes
from llm_peers import RUNNERS, STATE

# Everybody rounds activations in each layer, and everybody in another way.
TOLERANCE = 0.1
POLL = 0.005  # seconds


class Files(NamedTuple):
    folder: Path

    @property
    def onnx(self):
        return self.folder / "model.onnx"

    @property
    def gguf(self):
        return self.folder / "model.gguf"

    @property
    def artifact(self):
        return self.folder / "model.so"

    @property
    def artifact_bytes(self):
        """With the weights, if they lie beside it."""
        parts = self.artifact, self.artifact.with_suffix(".weights")
        return sum(part.stat().st_size for part in parts if part.exists())

    def write(self, sizes):
        begin = time.perf_counter()
        if not self.onnx.exists():
            llm_model.write(self.onnx, sizes)
        if llama_cpp.available() and not self.gguf.exists():
            llm_gguf.write(self.gguf, sizes)
        weights = self.onnx.with_name("model.onnx.data").stat().st_size
        print(f"{weights / 1e6:.0f} MB of weights, written in "
              f"{time.perf_counter() - begin:.0f} s", flush=True)  # fmt: skip
        return weights


def peak_memory(command):
    """(exit status, the most memory in all, the most of its own) of a process."""
    process = subprocess.Popen(command)
    status = Path(f"/proc/{process.pid}/status")
    most = {"VmHWM": 0, "RssAnon": 0}
    while process.poll() is None:
        for name, size in re.findall(r"(VmHWM|RssAnon):\s+(\d+) kB", status.read_text()):
            most[name] = max(most[name], int(size) * 1024)
        time.sleep(POLL)
    return process.returncode, *most.values()


def again(options, *arguments):
    """This script in a process of its own, with the same model."""
    kept = ["--folder", options.folder, "--layers", options.layers, "--prompt",
            options.prompt, "--new", options.new, "--mcpu", options.mcpu]  # fmt: skip
    kept += ["--tiny"] if options.tiny else []
    return list(map(str, [sys.executable, __file__, *kept, *arguments]))


def compile_model(files, sizes, weights, options):
    """Whether there is an artifact."""
    begin = time.perf_counter()
    status, most, own = peak_memory(again(options, "--compile"))
    seconds = time.perf_counter() - begin
    if status == 0:
        bound = 1.3 * weights + 300e6
        print(f"compiled in {seconds:.1f} s with {most / 1e6:.0f} MB ({own / 1e6:.0f} MB "
              f"without files; the bound is {bound / 1e6:.0f}), the artifact has "
              f"{files.artifact_bytes / 1e6:.0f} MB", flush=True)  # fmt: skip
    return status == 0


def compile_here(files, capacity, options):
    """What the process of compile_model does."""
    try:
        lutra.compile(files.onnx, files.artifact, mcpu=options.mcpu,
                      state=STATE.format(capacity), dim={"batch_size": 1})  # fmt: skip
    except lutra.CompileError as error:
        print(f"refused: {str(error).splitlines()[0]}", flush=True)
        return 1
    return 0


class Tokens:
    """A prompt, and what follows it."""

    def __init__(self, sizes, options):
        ids = np.random.default_rng(3).integers(
            0, sizes.vocabulary, options.prompt + options.new
        )
        self.prompt, self.new = ids[: options.prompt], ids[options.prompt :]
        self.now = CLOCKS[options.clock]

    def read(self, runner):
        """The seconds of the prompt."""
        begin = self.now()
        runner.run(self.prompt, 0)
        return self.now() - begin

    def write(self, runner):
        """The median of the seconds of a token."""
        seconds = []
        for at, token in enumerate(self.new):
            begin = self.now()
            runner.run(token.reshape(1), self.prompt.size + at)
            seconds.append(self.now() - begin)
        return median(seconds)


def wrong(tokens, runners):
    """Compares the logits behind the prompt and one token."""
    logits = {}
    for name, runner in runners.items():
        tokens.read(runner)
        logits[name] = runner.run(tokens.new[:1], tokens.prompt.size).astype(np.float64)
    first = logits.get("ONNX Runtime", next(iter(logits.values())))
    for name, each in logits.items():
        error = np.sqrt(((each - first) ** 2).mean() / (first**2).mean())
        if not error < TOLERANCE:
            yield f"{name}: logits differ by {error:.1e}"


def bounds(sizes, options, threads):
    """Limits as contestants."""
    data = aligned((sizes.matrix_bytes // 512 * 512,), np.uint8)
    data[...] = 1
    return Peak.of(Int8Limit, threads, options.clock, options.mcpu), MemoryLimit(threads, data)


def measure(files, sizes, capacity, tokens, threads, options):
    runners = {name: RUNNERS[name](files, sizes, capacity, threads) for name in options.who}
    failures = list(wrong(tokens, runners))
    dots, read = bounds(sizes, options, threads)
    turns = {"dots": dots, "read": read}
    for name, runner in runners.items():
        turns[name, "prompt"] = functools.partial(tokens.read, runner)
        turns[name, "write"] = functools.partial(tokens.write, runner)
    seconds = take_turns(turns, options.rounds, 0, clock=options.clock)
    best = {name: min(times) for name, times in seconds.items()}
    limits = {"prompt": dots.rate / (2 * sizes.parameters), "write": 1 / best["read"]}
    tokens_of = {"prompt": options.prompt, "write": 1}
    for what, limit in limits.items():
        rates = {name: tokens_of[what] / best[name, what] for name in runners}
        show(what, threads, limit, rates, failures)
    return bool(failures)


def show(what, threads, limit, rates, failures):
    columns = [f"{what:6} {threads:7} {limit:8.1f}"]
    for name in RUNNERS:
        rate = rates.get(name)
        columns.append(f"{rate:12.1f} {rate / limit:5.0%}" if rate else f"{'-':>18}")
    theirs = [rate for name, rate in rates.items() if name != "Lutra"]
    if "Lutra" in rates and theirs:
        columns.append(f"{rates['Lutra'] / max(theirs):8.2f}")
    print(*columns, *failures, flush=True)


def run(options, sizes):
    files = Files(options.folder)
    capacity = options.prompt + options.new + 8
    if options.compile:
        return compile_here(files, capacity, options)
    tokens = Tokens(sizes, options)
    if options.alone:
        runner = RUNNERS[options.alone](files, sizes, capacity, 1)
        tokens.read(runner)
        tokens.write(runner)
        return 0
    weights = files.write(sizes)
    options.who = list(options.who)
    if "Lutra" in options.who and not compile_model(files, sizes, weights, options):
        options.who.remove("Lutra")
    if "llama.cpp" in options.who and not llama_cpp.available():
        print("llama.cpp is not built: benchmarks/llama_cpp.py")
        options.who.remove("llama.cpp")
    for name in options.who:
        _, most, own = peak_memory(again(options, "--alone", name))
        print(f"{name} runs with {most / 1e6:.0f} MB ({own / 1e6:.0f} MB without files)",
              flush=True)  # fmt: skip
    print("tokens/s\n       threads    limit"
          + "".join(f" {name:>12} share" for name in RUNNERS) + "  speedup")  # fmt: skip
    failed = [measure(files, sizes, capacity, tokens, threads, options)
              for threads in options.threads]  # fmt: skip
    return int(any(failed))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--tiny", action="store_true", help="a model to try this with")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--new", type=int, default=16)
    parser.add_argument("--who", nargs="+", choices=RUNNERS, default=list(RUNNERS))
    parser.add_argument("--mcpu", default="native")
    add_turn_options(parser, rounds=3)
    parser.add_argument("--compile", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--alone", choices=RUNNERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    check_turn_options(parser, options)
    sizes = TINY if options.tiny else Sizes(layers=options.layers)
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        sys.exit(run(options, sizes))
    with tempfile.TemporaryDirectory() as folder:
        options.folder = Path(folder)
        sys.exit(run(options, sizes))


if __name__ == "__main__":
    main()
