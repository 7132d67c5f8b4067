# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What all Python tests share: the built tools and the test models.

LUTRA_BUILD names another build than build/release. Models are made by the
scripts in test/Models into build/models, and made again when a script changes.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("LUTRA_BUILD", ROOT / "build" / "release"))
MODELS = ROOT / "build" / "models"

PHASES = ["import", "tensor", "quantize", "cascade", "encode", "form", "tile",
          "kernel", "plan", "target", "object"]  # fmt: skip


def pytest_configure(config):
    """A preloaded sanitizer is for the interpreters that tests run in, which are
    started by this one where they are several; tools that have one bring their own."""
    if not getattr(config.option, "numprocesses", None):
        os.environ.pop("LD_PRELOAD", None)


def run_tool(tool, *arguments, expect=0):
    """Runs a built tool; checks its exit code unless `expect` is None."""
    command = [str(BUILD / "bin" / tool), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if expect is not None:
        assert done.returncode == expect, f"{command}: {done.stderr}"
    return done


def lutra_compile(*arguments, expect=0):
    return run_tool("lutra-compile", *arguments, expect=expect)


def generate(script, output, *arguments):
    """Runs a script of test/Models, unless its output is newer than it is and, for
    one in a folder of its own, than all that it may read."""
    script, output = ROOT / "test" / "Models" / script, MODELS / output
    sources = [script]
    if script.parent.parent.name == "Models":
        sources += [*script.parent.glob("*.*"), *script.parent.parent.glob("*.py")]
    newest = max(source.stat().st_mtime for source in sources)
    if not output.exists() or output.stat().st_mtime < newest:
        subprocess.run([sys.executable, script, *arguments], check=True)
    return output


@pytest.fixture(scope="session")
def digits():
    """The sample's files: .onnx and .npz."""
    path = generate("digits/make_digits.py", "digits.onnx", MODELS)
    return path, np.load(path.with_suffix(".npz"))


@pytest.fixture(scope="session")
def numerals():
    """A language model with a cache, which writes Roman numerals."""
    return generate("numerals/make_numerals.py", "numerals.onnx", MODELS)


@pytest.fixture(scope="session")
def encoder():
    """A text encoder, which tells odd Roman numerals from even ones."""
    return generate("encoder/make_encoder.py", "encoder.onnx", MODELS)


@pytest.fixture(scope="session")
def cnn():
    path = generate("cnn.py", "cnn.onnx", MODELS)
    return path, np.load(path.with_suffix(".npz"))


@pytest.fixture(scope="session")
def mlp():
    """A perceptron of 537 MB of weights, all inside the file."""
    return generate("mlp.py", "mlp.onnx", MODELS / "mlp.onnx")
