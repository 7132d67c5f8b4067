# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models that are compiled for AArch64 and run by qemu, called as lutra.Model is.

Each call is a process: the lutra-run of build/aarch64, on the oldest CPU that has what the
model was compiled for, or on one with everything.
"""

import os
import re
import shutil
import subprocess
import tempfile
import zipfile

import lutra
import numpy as np
from conftest import ROOT
from lutra.model import TensorInfo, bfloat16

TRIPLE = "aarch64-linux-gnu"
BUILD = ROOT / "build" / "aarch64"
RUNNER = BUILD / "bin" / "lutra-run"
QEMU = shutil.which("qemu-aarch64")
#: qemu's name for a CPU that has what LLVM's has, where it is another.
MACHINES = {"generic": "cortex-a53", "ampere1": "max", "neoverse-v1": "max"}

_compile = lutra.compile


def missing():
    """Why nothing can be emulated here, or an empty string."""
    if not QEMU:
        return "needs qemu-aarch64, of Debian's qemu-user"
    return "" if RUNNER.exists() else "needs build/aarch64, of cmake --preset aarch64"


def command(machine):
    """What runs a program on a machine, by qemu's name for its CPU."""
    return [QEMU, "-cpu", machine, "-L", f"/usr/{TRIPLE}"]


def run_tool(machine, *arguments):
    """What lutra-run prints there."""
    line = [*command(machine), RUNNER, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        raise lutra.RunError(f"exit code {done.returncode}: {done.stderr}")
    return done.stdout


def compile(model, output=None, *, threads=0, **options):
    """lutra.compile, for `mcpu` of AArch64."""
    folder = tempfile.TemporaryDirectory(prefix="lutra-")
    output = output or os.path.join(folder.name, "model.so")
    _compile(model, output, mtriple=TRIPLE, **options)
    loaded = load(output, threads)
    loaded.folder = folder
    return loaded


def load(path, threads=0):
    return Model(path, threads)


class Model:
    def __init__(self, path, threads):
        self.path, self.threads = path, threads
        info = run_tool("max", path, "--info")
        cpu = re.search(r"^target .*, (\S+)$", info, re.M)[1]
        self.machine = MACHINES.get(cpu, cpu)
        self.inputs, self.outputs = (
            [TensorInfo(name, None, None) for name in re.findall(r"^  (.*): \S+$", listed, re.M)]
            for listed in re.search(r"^inputs\n(.*)^outputs\n((?:  .*\n)*)", info, re.M | re.S).groups()
        )

    def __call__(self, *arrays):
        if len(arrays) == 1 and isinstance(arrays[0], dict):
            arrays = [arrays[0][info.name] for info in self.inputs]
        with tempfile.TemporaryDirectory(prefix="lutra-") as folder:
            feeds = os.path.join(folder, "feeds.npz")
            with zipfile.ZipFile(feeds, "w") as archive:
                for info, array in zip(self.inputs, arrays):
                    with archive.open(f"{info.name}.npy", "w") as file:
                        np.lib.format.write_array(file, np.asarray(array))
            files = {info.name: f"{folder}/{i}.npy" for i, info in enumerate(self.outputs)}
            options = [f"--output={name}=@{file}" for name, file in files.items()]
            if self.threads:
                options.append(f"--threads={self.threads}")
            run_tool(self.machine, self.path, f"--inputs=@{feeds}", *options)
            return {name: _as_written(np.load(file)) for name, file in files.items()}


def _as_written(array):
    return array.view(bfloat16) if array.dtype == "V2" else array
