# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The compiler, in this process.

Options are lutra-compile's flags with underscores: `mcpu="x86-64-v3"`,
`weights="embed"`, `dump_ir="ir"`, `emit_header="m.h"`; -O2 is `opt_level=2`,
and dimensions are `dim={"batch": 8, "seq": (64, 4096, 64)}` for a size, or for
the smallest, the largest and what every size is a multiple of. A flag that may be
given several times takes a list. What stays in memory between runs is
`state="past.*:present.*:max=2048"`, what is told about the model
`report=["kernels:k.txt", "html:m.html"]`, for `report_dim={"batch": 8}`. Samples to
quantize by are `calibrate="data.npz"`, or arrays, `calibrate={"x": samples}`.
"""

import contextlib
import json
import os
import platform
import tempfile
import warnings
import zipfile
from typing import NamedTuple

import numpy as np

from lutra import _native
from lutra.model import Model, load

BYTES_NAME = "model.onnx"


class CompileError(Exception):
    """What lutra-compile would print; `exit_code` is what it would exit with."""

    def __init__(self, message, exit_code):
        super().__init__(message)
        self.exit_code = exit_code


class Refusal(NamedTuple):
    """A node that the compiler does not support, and why."""

    node: str
    domain: str
    op: str
    version: int
    reason: str


def compile(model, output=None, **options):
    """Compiles a model; returns it loaded, as a lutra.Model.

    `model` is a path, the bytes of an ONNX file, or an onnx.ModelProto. The
    artifact is `output`, or a temporary file that lives as long as the result.
    An output that is no shared library (.o, .s, .ll, .mlir), or is one for another
    machine (`mtriple="aarch64-linux-gnu"`), is written, and the result is None.
    """
    folder = None
    machine = (options.get("mtriple") or platform.machine()).split("-")[0]
    is_foreign = machine != platform.machine()
    if output is None:
        if is_foreign:
            raise TypeError(f"expected an output: this machine is no {machine}")
        folder = tempfile.TemporaryDirectory(prefix="lutra-")
        output = os.path.join(folder.name, "model.so")
    output = os.fspath(output)
    threads = options.pop("threads", 0)
    path, content = _source(model)
    with _flags(options) as flags:
        _finish(_native.compile(path, content, output, flags))
    if is_foreign or not output.endswith(".so"):
        return None
    loaded = load(output, threads=threads)
    loaded._folder = folder
    return loaded


def ir(model, phase="tensor", **options):
    """The IR of a model after a phase, as text without locations."""
    path, content = _source(model)
    options["compile_to"] = phase
    with _flags(options) as flags:
        return _finish(_native.ir(path, content, flags))


def report(model, **options):
    """The kernels, dispatches and tensors of a model, as
    `lutra-compile --report=kernels:FILE.json` writes them; compiles no code."""
    path, content = _source(model)
    with _flags(options) as flags:
        return json.loads(_finish(_native.report(path, content, flags)))


def check(model):
    """Every node of a model that is not supported, as a list of Refusals."""
    path, content = _source(model)
    outcome, refusals = _native.check(path, content)
    if not refusals:
        _finish(outcome)
    return [Refusal(*refusal) for refusal in refusals]


def _source(model):
    """A model as (path, bytes or None)."""
    if isinstance(model, (str, os.PathLike)):
        return os.fspath(model), None
    if hasattr(model, "SerializeToString"):
        return BYTES_NAME, model.SerializeToString()
    if isinstance(model, (bytes, bytearray, memoryview)):
        return BYTES_NAME, bytes(model)
    raise TypeError(
        f"expected a path, bytes or a ModelProto, got {type(model).__name__}"
    )


def _dim(name, size):
    if isinstance(size, str):
        return f"{name}:{size}"
    if isinstance(size, int):
        return f"{name}:{size}"
    low, high, *multiple = size
    bounds = f"{low}.." if high is None else f"{low}..{high}"
    return f"{name}:{bounds}" + "".join(f"%{m}" for m in multiple)


@contextlib.contextmanager
def _flags(options):
    """Options as {flag: [values]}, and files for arrays while they are used."""
    samples = options.get("calibrate")
    if not isinstance(samples, dict):
        yield _strings(options)
        return
    with tempfile.TemporaryDirectory(prefix="lutra-") as folder:
        path = os.path.join(folder, "samples.npz")
        # np.savez takes names for its own arguments.
        with zipfile.ZipFile(path, "w") as archive:
            for name, array in samples.items():
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(
                        file, np.asarray(array), allow_pickle=False
                    )
        yield _strings({**options, "calibrate": path})


def _strings(options):
    """Options as {flag: [values]}."""
    flags = {}
    for name, value in options.items():
        if value is None or value is False:
            continue
        if name == "dim":
            flags["dim"] = [_dim(*item) for item in value.items()]
        elif name == "report_dim":
            flags["report-dim"] = [f"{dim}:{size}" for dim, size in value.items()]
        elif name == "opt_level":
            flags["O"] = [str(value)]
        else:
            values = value if isinstance(value, (list, tuple)) else [value]
            flags[name.replace("_", "-")] = [
                "true" if one is True else str(one) for one in values
            ]
    return flags


def _finish(outcome):
    """Raises what went wrong; returns the text that came out."""
    code, errors, notes, text = outcome
    for note in notes:
        warnings.warn(note, stacklevel=3)
    if code:
        raise CompileError("\n".join(errors), code)
    return text
