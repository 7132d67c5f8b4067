#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exports networks of random weights with the public exporters, compiles each
one unchanged, and compares it with ONNX Runtime at three sizes.

Prints a line for each family and exporter; exits with 1 unless all agree or are
refused. `--time` runs the last of the sizes in both on two threads, and says how
many times as long as ONNX Runtime ours takes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import lutra
import numpy as np
import onnx
import onnxruntime

EXPORTERS = ["torchscript", "dynamo", "tf2onnx", "skl2onnx"]
TOLERANCE = 1e-4
THREADS = 2


def session(path, optimize):
    options = onnxruntime.SessionOptions()
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def error(actual, expected):
    """The largest difference, relative to the largest value; None if it is no number."""
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return None
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(actual, expected) else None
    finite = np.isfinite(expected)
    if not np.array_equal(actual[~finite], expected[~finite], equal_nan=True):
        return None
    if not finite.any():
        return 0.0
    difference = np.abs(actual[finite].astype(float) - expected[finite].astype(float)).max()
    return difference / max(np.abs(expected[finite]).max(), 1e-30)


def seconds(call, budget=0.5):
    """The least time of a call."""
    call()
    times, end = [], time.perf_counter() + budget
    while time.perf_counter() < end or len(times) < 3:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


def compare(model, path, timed):
    """Runs at every size; returns (worst error or a sentence, slowdown or None)."""
    names = [value.name for value in model.inputs]
    reference = session(path, optimize=False)
    saved, worst = np.load(path.with_suffix(".npz")), 0.0
    for run in sorted({key.split("/")[0] for key in saved}):
        arrays = {name: saved[f"{run}/{name}"] for name in names}
        expected = reference.run(None, arrays)
        actual = model(*arrays.values())
        for value, array in zip(reference.get_outputs(), expected):
            found = error(actual[value.name], array)
            if found is None or not found <= TOLERANCE:
                shapes = [array.shape for array in arrays.values()]
                got = found or f"{actual[value.name].shape}, not {array.shape}"
                return f"{value.name} of {shapes}: {got}", None
            worst = max(worst, found)
    if not timed:
        return worst, None
    ours = seconds(lambda: model(*arrays.values()))
    fast = session(path, optimize=True)
    return worst, ours / seconds(lambda: fast.run(None, arrays))


def check(path, timed):
    """What a line of the table says of an exported file."""
    nodes = len(onnx.load(path, load_external_data=False).graph.node)
    begin = time.perf_counter()
    try:
        model = lutra.compile(path, threads=THREADS)
    except lutra.CompileError as failure:
        result = "refused" if failure.exit_code == 3 else f"FAILED ({failure.exit_code})"
        return nodes, f"{result}: {failure}", "", f"{time.perf_counter() - begin:.1f}", ""
    spent = f"{time.perf_counter() - begin:.1f}"
    worst, slower = compare(model, path, timed)
    if isinstance(worst, str):
        return nodes, f"WRONG {worst}", "", spent, ""
    return nodes, "agrees", f"{worst:.1e}", spent, f"{slower:.2f}" if slower else ""


def isolated(work):
    """What `work` returns, from a process of its own: a crash is a result too."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            row = work()
        except BaseException:
            row = "", "FAILED: " + traceback.format_exc()[-1000:], "", "", ""
        os.write(writer, "\t".join(str(cell) for cell in row).encode()[:60000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return "", f"CRASHED: signal {os.WTERMSIG(status)}", "", "", ""
    return text.split("\t")


def exported(exporter, folder, names):
    """Yields the families of one exporter as they are written."""
    script = Path(__file__).with_name("export.py")
    command = [sys.executable, script, exporter, folder, *names]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, text=True) as process:
        for line in process.stdout:
            yield line.rstrip("\n").split(" ", 1)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="families or exporters (default: all)")
    parser.add_argument("--keep", type=Path, metavar="DIR",
                        help="leave the exported files in a folder, and use those that are there")  # fmt: skip
    parser.add_argument("--time", action="store_true", help="measure beside ONNX Runtime")
    options = parser.parse_args()
    names = [name for name in options.names if name not in EXPORTERS]
    bad = 0
    print("| Family | Exporter | Nodes | Result | Worst error | Compiled in (s) | Times ORT's time |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = options.keep or Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for exporter in [name for name in options.names if name in EXPORTERS] or EXPORTERS:
            for name, failure in exported(exporter, folder, names):
                row = "", f"not exported: {failure}", "", "", ""
                if not failure:
                    path = folder / f"{name}.{exporter}.onnx"
                    row = isolated(lambda: check(path, options.time))
                bad += row[1].split()[0] not in ("agrees", "refused:", "not")
                cells = [" ".join(cell.split()) for cell in row]
                print("|", " | ".join([name, exporter, *cells]), "|", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
