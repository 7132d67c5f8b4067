# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compilation stops and continues anywhere, and is always the same."""

import re

import pytest
from conftest import PHASES, lutra_compile


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    """The object file of an uninterrupted compilation, and its weights."""
    path = tmp_path_factory.mktemp("whole") / "digits.o"
    lutra_compile(digits[0], "-o", path)
    return contents(path)


def contents(path):
    return path.read_bytes(), path.with_suffix(".weights").read_bytes()


def test_two_compilations_are_identical(digits, whole, tmp_path):
    lutra_compile(digits[0], "-o", tmp_path / "digits.o")
    assert contents(tmp_path / "digits.o") == whole


@pytest.mark.parametrize("phase", PHASES[:-1])
def test_continuing_after_a_phase_changes_nothing(digits, whole, tmp_path, phase):
    dump, path = tmp_path / f"{phase}.mlir", tmp_path / "digits.o"
    lutra_compile(digits[0], f"--compile-to={phase}", "-o", dump)
    lutra_compile(dump, f"--compile-from={phase}", "-o", path)
    assert contents(path) == whole


def test_every_phase_is_dumped(digits, tmp_path):
    lutra_compile(digits[0], "-o", tmp_path / "digits.so", f"--dump-ir={tmp_path}/ir")
    names = [
        re.sub(r"^\s*\d+-", "", path.stem) for path in sorted((tmp_path / "ir").iterdir())
    ]
    assert names == PHASES
