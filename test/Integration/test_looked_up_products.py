# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with codes of 1, 2 and 4 bits by look-ups in tables of sums, at each level of
instructions that has them, beside the same tables in numpy."""

import itertools
import re

import lutra
import numpy as np
import pytest
from conftest import lutra_compile
from low_bit import rounded
from packed_products import LEVELS, SIZES, Product, data, looked_up, run, write

BITS = [1, 2, 4]
KINDS = ["shared", "codes", "floats"]
# x86-64 has no look-ups, and multiplies.
LEVELS = [level for level in LEVELS if level != "x86-64"]


def depth(level):
    """Codes of a row that lie side by side: where one instruction looks four tables up."""
    return 4 if level == "native" and "avx512_vbmi" in open("/proc/cpuinfo").read() else 1


def check(case, folder, level, *options, seed=0):
    source, x, *_ = write(case, folder, seed)
    numbers, codes, values, scales, zeros = data(case, np.random.default_rng(seed))
    np.testing.assert_array_equal(x, numbers)
    result, size, unit = looked_up(x, values, codes, scales, zeros, depth(level))
    got = run(source, x, "--lookups=always", f"--mcpu={level}", *options)
    # One entry in some thousand may be rounded the other way.
    np.testing.assert_array_less(np.abs(got - result), 2e-6 * size + 2.1 * unit + 1e-30)


def cases():
    shapes = itertools.cycle(SIZES)
    rows = itertools.cycle([1, 3, 33, 8, 7])
    kinds = itertools.cycle(KINDS)
    for bits, level, _ in itertools.product(BITS, LEVELS, range(4)):
        yield Product(next(rows), *next(shapes), bits, zeros=next(kinds)), level


@pytest.mark.parametrize("case, level", list(cases()), ids=str)
def test_tables(case, level, tmp_path):
    check(case, tmp_path, level, seed=case.bits)


@pytest.mark.parametrize("rows", [0, 1, 3, 8, 33])
@pytest.mark.parametrize("dynamic", [False, True])
def test_rows(rows, dynamic, tmp_path):
    check(Product(rows, 70, 3, 32, 1, scales="f16", dynamic=dynamic), tmp_path, "native")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("extreme", [False, True])
def test_long_groups(bits, level, extreme, tmp_path):
    """Sums of 16 bits are added up before they overflow."""
    case = Product(3, 37, 1, 4100, bits, zeros="codes", extreme=extreme)
    check(case, tmp_path, level)


@pytest.mark.parametrize("level", LEVELS)
def test_numbers_that_are_none(level, tmp_path):
    """Where a group has one, so has its row, and no other; zeros alone are 0."""
    source, x, *_ = write(Product(6, 20, 3, 32, 1, zeros="codes"), tmp_path)
    x[0, 1, 5], x[1, 2, 0], x[2, 0, 31], x[3] = np.nan, np.inf, -np.inf, 0
    got = run(source, x, "--lookups=always", f"--mcpu={level}")
    assert np.isnan(got[:3]).all()
    assert (got[3] == 0).all()
    assert np.isfinite(got[3:]).all()


@pytest.mark.parametrize("bits, most", [(1, 1.4), (2, 1.7)])
@pytest.mark.parametrize("spread, factor", [(0, 1), (1, 0.9)])
def test_rounding(bits, most, spread, factor):
    """How much is lost beside x rounded to bytes, where numbers differ by exp(spread)."""
    random = np.random.default_rng(bits)
    x, codes, values, scales, _ = data(Product(32, 64, 4, 128, bits), random)
    x *= np.exp(spread * random.standard_normal(x.shape)).astype(np.float32)
    weights = values[codes] * scales[:, :, None].astype(np.float64)

    def error(result):
        expected = np.einsum("mgk,ngk->mn", x.astype(np.float64), weights)
        return np.sqrt(np.square(result - expected).mean())

    whole, scale = rounded(x)
    multiplied = np.einsum("mgk,ngk->mn", whole.astype(np.float64) * scale, weights)
    for depth in [1, 4]:
        result, *_ = looked_up(x, values, codes, scales, None, depth)
        assert error(result) < most * factor * error(multiplied)


@pytest.mark.parametrize("cpu, look", [("generic", "tbl"), ("neoverse-n1", "tbl")])
def test_arm(cpu, look, tmp_path):
    source, *_ = write(Product(3, 64, 2, 32, 1), tmp_path)
    assembly = tmp_path / "product.s"
    target = ("--mtriple=aarch64-linux-gnu", f"--mcpu={cpu}", "--lookups=always")
    lutra_compile("--compile-from=tensor", source, "--emit=asm", "-o", assembly, *target)
    assert f"\t{look}\t" in assembly.read_text()


def test_choice(tmp_path):
    """Without instructions that multiply four bytes at once, codes of 1 and 2 bits are
    looked up where there are columns enough to pay for tables."""
    report = tmp_path / "kernels.txt"
    for bits, columns, looks in [(1, 1024, True), (2, 1024, True), (2, 8, False), (4, 1024, False)]:
        source, *_ = write(Product(33, columns, 1, 256, bits), tmp_path)
        options = ("--mcpu=x86-64-v3", f"--report=kernels:{report}")
        lutra_compile("--compile-from=tensor", source, "-o", tmp_path / "product.so", *options)
        text = report.read_text()
        assert ("mpgemm.matmul tables" in text) == looks
        # What it was chosen by; of 4 bits there is no choice.
        (costs,) = re.findall(r"costs +multiplied ([0-9.]+)(?:, looked up ([0-9.]+))?\n", text)
        assert bool(costs[1]) == (bits <= 2)
        assert looks == (bool(costs[1]) and float(costs[1]) < float(costs[0]))


def test_unknown_choice(tmp_path):
    source, *_ = write(Product(1, 1, 1, 1, 1), tmp_path)
    artifact = tmp_path / "product.so"
    got = lutra_compile(
        "--compile-from=tensor", source, "-o", artifact, "--lookups=maybe", expect=2
    )
    assert "expected --lookups=auto, --lookups=always or --lookups=never" in got.stderr
    with pytest.raises(lutra.CompileError, match="--lookups=auto"):
        lutra.compile(source, artifact, lookups="maybe")
