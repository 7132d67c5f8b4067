# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a compiled object asks of the program that it is linked into."""

import subprocess

import pytest
from conftest import lutra_compile

# Code that copies or clears memory may become one of these. No libm, no
# allocation, no runtime: threads come through the call's executor.
ALLOWED = {"memcpy", "memmove", "memset"}


def symbols(path, option):
    listed = subprocess.run(
        ["/usr/lib/llvm-22/bin/llvm-nm", option, path],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return {line.split()[-1] for line in listed.splitlines()}


@pytest.mark.parametrize("target", [[], ["--mtriple=aarch64-linux-gnu", "--mcpu=generic"]], ids=["here", "arm"])
@pytest.mark.parametrize("name", ["digits", "cnn"])
def test_needs_nothing_from_outside(name, target, tmp_path, request):
    model, _ = request.getfixturevalue(name)
    lutra_compile(model, "-o", tmp_path / "model.o", *target)
    assert symbols(tmp_path / "model.o", "-u") <= ALLOWED


def test_defines_one_symbol(digits, tmp_path):
    lutra_compile(digits[0], "-o", tmp_path / "digits.so")
    exported = symbols(tmp_path / "digits.so", "--dynamic")
    assert exported - ALLOWED == {"lutra_model_digits"}
