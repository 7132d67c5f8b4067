# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The example programs, built as a user builds them: against an installed Lutra."""

import subprocess

import lutra
import pytest
from conftest import BUILD, MODELS, ROOT


def run(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("installed")
    run("cmake", "--install", BUILD, "--prefix", prefix)
    return prefix


@pytest.fixture(scope="module")
def from_python(digits):
    """What the examples print, from Python."""
    data = digits[1]
    scores = lutra.compile(digits[0])(data["images"])["scores"]
    return [
        " ".join([str(row.argmax()), *(f"{score:.6f}" for score in row)])
        for row in scores
    ]


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_prints_the_same_numbers(language, installed, digits, from_python, tmp_path):
    run(
        *("cmake", "-G", "Ninja", "-S", ROOT / "examples" / language, "-B", tmp_path),
        f"-DCMAKE_PREFIX_PATH={installed}",
        f"-DLUTRA_DIGITS_MODEL={digits[0]}",
        "-DCMAKE_BUILD_TYPE=Release",
        *("-DCMAKE_C_COMPILER=clang-22", "-DCMAKE_CXX_COMPILER=clang++-22"),
    )
    run("cmake", "--build", tmp_path)
    printed = run(tmp_path / f"digits-{language}", MODELS / "images.f32")
    assert printed.splitlines() == from_python
