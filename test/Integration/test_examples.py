# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The example programs, built as a user builds them: against an installed Lutra."""

import subprocess

import emulated
import lutra
import numpy as np
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
def scores(digits):
    return lutra.compile(digits[0])(digits[1]["images"])["scores"]


@pytest.fixture(scope="module")
def from_python(scores):
    """What the examples print, from Python."""
    return [
        " ".join([str(row.argmax()), *(f"{score:.6f}" for score in row)])
        for row in scores
    ]


def build(example, installed, digits, folder, *options):
    run(
        *("cmake", "-G", "Ninja", "-S", ROOT / "examples" / example, "-B", folder),
        f"-DCMAKE_PREFIX_PATH={installed}",
        f"-DLUTRA_DIGITS_MODEL={digits[0]}",
        "-DCMAKE_BUILD_TYPE=Release",
        *("-DCMAKE_C_COMPILER=clang-22", "-DCMAKE_CXX_COMPILER=clang++-22"),
        *options,
    )
    run("cmake", "--build", folder)


@pytest.mark.parametrize(
    "example, program", [("c", "digits-c"), ("cpp", "digits-cpp"), ("threads", "threads")]
)
def test_prints_the_same_numbers(
    example, program, installed, digits, from_python, tmp_path
):
    build(example, installed, digits, tmp_path)
    printed = run(tmp_path / program, MODELS / "images.f32")
    assert printed.splitlines() == from_python


def test_two_models(installed, digits, scores, tmp_path):
    build("two_models", installed, digits, tmp_path)
    printed = run(tmp_path / "two-models", MODELS / "images.f32").splitlines()
    assert len(printed) == len(scores)
    for got, row in zip(printed, scores):
        best, second = sorted(range(10), key=lambda digit: -row[digit])[:2]
        assert got == f"{best} {row[best]:.6f} {second} {row[second]:.6f}"


@pytest.mark.skipif(bool(emulated.missing()), reason=emulated.missing())
def test_another_machine(digits, scores, tmp_path):
    """As docs/Embedding.md says: the runtime is that machine's, the compiler this one's."""
    prefix, folder = tmp_path / "installed", tmp_path / "program"
    run("cmake", "--install", emulated.BUILD, "--prefix", prefix)
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={ROOT / 'cmake' / 'AArch64.cmake'}"
    compiler = f"-DLUTRA_COMPILE={BUILD / 'bin' / 'lutra-compile'}"
    build("c", prefix, digits, folder, toolchain, compiler)
    printed = run(*emulated.command("cortex-a53"), folder / "digits-c", MODELS / "images.f32")
    got = np.array([line.split()[1:] for line in printed.splitlines()], np.float32)
    np.testing.assert_allclose(got, scores, atol=2e-6)


def test_threads_do_not_race(digits, from_python, tmp_path):
    """The runtime and the program are built with ThreadSanitizer; the model is not."""
    runtime, folder = tmp_path / "runtime", tmp_path / "program"
    run(
        *("cmake", "--preset", "tsan", "-S", ROOT),
        *(f"-DLUTRA_BUILD_{part}=OFF" for part in ("COMPILER", "PYTHON")),
    )
    run("cmake", "--build", ROOT / "build" / "tsan")
    run("cmake", "--install", ROOT / "build" / "tsan", "--prefix", runtime)
    build(
        *("threads", runtime, digits, folder),
        "-DCMAKE_CXX_FLAGS=-fsanitize=thread",
        f"-DLUTRA_COMPILE={BUILD / 'bin' / 'lutra-compile'}",
    )
    printed = run(folder / "threads", MODELS / "images.f32", 2)
    assert printed.splitlines() == from_python
