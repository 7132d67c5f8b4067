# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with codes by matrix tiles, of bytes and of bf16."""

import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import lutra_compile
from packed_products import Product, check, run, write

#: Where groups end in tiles of codes and panels of these, and are longer than both.
TILE_SIZES = [
    (1, 1, 1000),
    (7, 9, 32),
    (16, 2, 128),
    (17, 5, 40),
    (33, 37, 48),
    (40, 2, 600),
    (70, 1, 68),
    (300, 3, 64),
    (64, 1, 2080),
]
#: Where rows end in tiles and blocks of rows.
TILE_ROWS = [15, 16, 17, 33, 128, 129, 300]
TILES = ("--mcpu=x86-64-v4", "--mattr=+avx512vnni,+amx-tile,+amx-int8")
on_tiles = pytest.mark.skipif(
    "amx_int8" not in open("/proc/cpuinfo").read(), reason="needs a CPU with AMX"
)
#: Where groups end in panels of codes and in halves of a tile of these, and columns in blocks.
FLOAT_TILE_SIZES = [
    (1, 1, 32),
    (7, 3, 16),
    (16, 2, 32),
    (17, 37, 16),
    (33, 16, 32),
    (70, 9, 32),
    (300, 33, 32),
    (40, 65, 16),
]
#: Where rows are enough for a panel, and end in tiles and blocks of rows.
FLOAT_TILE_ROWS = [48, 65, 80, 97, 256, 257, 300]
FLOAT_TILES = (TILES[0], TILES[1] + ",+avx512bf16,+amx-bf16")
on_float_tiles = pytest.mark.skipif(
    "amx_bf16" not in open("/proc/cpuinfo").read(), reason="needs a CPU with AMX for bf16"
)
#: Both factors are rounded to 8 bits.
FLOAT_TILE_ERROR = 2**-8 + 2**-16


@on_tiles
@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("size", TILE_SIZES, ids=str)
def test_tiles(bits, size, tmp_path):
    turn = bits + TILE_SIZES.index(size)
    zeros = ["shared", "codes", "floats"][turn % 3]
    rows = TILE_ROWS[turn % len(TILE_ROWS)]
    check(Product(rows, *size, bits, zeros=zeros), tmp_path, *TILES, seed=turn)


@on_tiles
@pytest.mark.parametrize("rows", [0, 1, *TILE_ROWS])
@pytest.mark.parametrize("dynamic", [False, True])
def test_rows_of_tiles(rows, dynamic, tmp_path):
    check(Product(rows, 70, 9, 32, 4, dynamic=dynamic), tmp_path, *TILES)


@on_tiles
@pytest.mark.parametrize("scales", ["i8", "f8E4M3FN"])
def test_super_blocks_of_tiles(scales, tmp_path):
    check(Product(40, 70, 9, 64, 4, scales=scales, super_scales=3), tmp_path, *TILES)


@on_tiles
@pytest.mark.parametrize("case", [
    Product(40, 40, 2, 128, 1, planes=3), Product(129, 70, 9, 32, 1, planes=2),
    Product(40, 33, 1, 600, 1, planes=1), Product(300, 40, 2, 128, 2, trellis=True),
    Product(40, 40, 1, 600, 3, trellis=True), Product(17, 70, 9, 32, 4, trellis=True),
    Product(150, 33, 3, 640, 2, trellis=True), Product(40, 16, 17, 64, 3, trellis=True),
    Product(40, 33, 5, 64, 4, codebook=True), Product(40, 70, 3, 40, 3, codebook=True),
    Product(40, 33, 5, 64, 8, vector=8), Product(150, 70, 2, 640, 8, vector=8, books=2),
    Product(129, 40, 1, 2080, 6, vector=4, books=2), Product(17, 16, 3, 160, 8, vector=8, books=4),
    Product(40, 33, 1, 480, 5, vector=8), Product(33, 40, 9, 32, 8, vector=4),
], ids=str)  # fmt: skip
def test_other_formats_in_tiles(case, tmp_path):
    check(case, tmp_path, *TILES)


@on_tiles
@pytest.mark.parametrize("bits", [1, 4, 7, 8])
@pytest.mark.parametrize("zeros", ["shared", "codes"])
def test_largest_sums_of_tiles(bits, zeros, tmp_path):
    size = (2**31 - 1) // (((1 << bits) - 1) * 128) // 4 * 4
    case = Product(18, 17, 1, min(size, 1 << 16), bits, zeros=zeros, extreme=True)
    check(case, tmp_path, *TILES)


@on_tiles
@pytest.mark.parametrize("level", ["-O0", "-O3"])
def test_levels_of_tiles(level, tmp_path):
    check(Product(40, 40, 2, 600, 4), tmp_path, *TILES, level)


@on_tiles
def test_tiles_that_linux_refuses(tmp_path):
    """It does where a thread's stack for signals is too small for their registers."""
    source, *_ = write(Product(16, 16, 1, 32, 4), tmp_path)
    lutra_compile("--compile-from=tensor", source, "-o", tmp_path / "product.so", *TILES)
    script = """
import ctypes, sys, lutra
class Stack(ctypes.Structure):
    _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]
memory = ctypes.create_string_buffer(4096)
stack = Stack(ctypes.addressof(memory), 0, 4096)
assert ctypes.CDLL(None).sigaltstack(ctypes.byref(stack), None) == 0
lutra.load(sys.argv[1])
"""
    run = subprocess.run([sys.executable, "-c", script, tmp_path / "product.so"],
                         capture_output=True, text=True)  # fmt: skip
    assert "does not let this process use; compile the model with --mattr=-amx-tile" in run.stderr


def test_tiles_are_configured_once(tmp_path):
    source, *_ = write(Product(40, 40, 9, 32, 4, dynamic=True), tmp_path)
    assembly = tmp_path / "product.s"
    lutra_compile("--compile-from=tensor", source, "--emit=asm", "-o", assembly, *TILES)
    text = assembly.read_text()
    assert "\ttdpbssd\t" in text
    assert "\tvpdpbusd\t" in text  # for fewer rows
    assert text.count("\tldtilecfg\t") == 1


@on_float_tiles
@pytest.mark.parametrize("bits", range(1, 6))
@pytest.mark.parametrize("size", FLOAT_TILE_SIZES, ids=str)
def test_float_tiles(bits, size, tmp_path):
    turn = bits + FLOAT_TILE_SIZES.index(size)
    zeros = ["shared", "codes", "floats"][turn % 3]
    rows = FLOAT_TILE_ROWS[turn % len(FLOAT_TILE_ROWS)]
    case = Product(rows, *size, bits, zeros=zeros)
    check(case, tmp_path, *FLOAT_TILES, seed=turn, error=FLOAT_TILE_ERROR)


@on_float_tiles
@pytest.mark.parametrize("rows", [0, 1, 17, 31, 32, *FLOAT_TILE_ROWS])
def test_rows_of_float_tiles(rows, tmp_path):
    case = Product(rows, 70, 9, 32, 4, dynamic=True)
    # Of few rows sums are exact.
    error = FLOAT_TILE_ERROR if rows >= 32 else 2e-6
    check(case, tmp_path, *FLOAT_TILES, error=error)


@on_float_tiles
@pytest.mark.parametrize("case", [
    Product(64, 33, 9, 32, 4, scales="f8E8M0FNU"), Product(80, 33, 8, 32, 4, scales="i8", super_scales=4),
    Product(97, 70, 9, 16, 4, scales="f8E4M3FN", super_scales=3), Product(64, 33, 5, 32, 4, codebook=True),
    Product(65, 17, 5, 32, 3, codebook=True, zeros="floats"), Product(64, 40, 9, 32, 8, vector=8, books=2),
    Product(64, 40, 9, 32, 1, planes=2), Product(64, 40, 1, 32, 4, trellis=True),
    Product(64, 40, 3, 32, 5, extreme=True), Product(64, 40, 3, 32, 3, scales="f16"),
], ids=str)  # fmt: skip
def test_other_formats_in_float_tiles(case, tmp_path):
    check(case, tmp_path, *FLOAT_TILES, error=FLOAT_TILE_ERROR)


@on_float_tiles
def test_numbers_that_are_none_in_float_tiles(tmp_path):
    """A row of x with one has no number, and no other row is touched."""
    source, x, result, size = write(Product(66, 20, 3, 32, 4), tmp_path)
    x[0, 1, 5], x[65, 2, 0], x[33] = np.nan, np.inf, 0
    got = run(source, x, "--lookups=never", *FLOAT_TILES)
    assert np.isnan(got[[0, 65]]).all()
    assert (got[33] == 0).all()
    rest = [row for row in range(66) if row not in (0, 33, 65)]
    np.testing.assert_array_less(np.abs(got - result)[rest], FLOAT_TILE_ERROR * size[rest])


@pytest.mark.parametrize("size, bits, dot", [
    (16, 4, "tdpbf16ps"), (32, 5, "tdpbf16ps"), (64, 4, "tdpbssd"), (32, 6, "tdpbssd"),
])  # fmt: skip
def test_groups_in_float_tiles(size, bits, dot, tmp_path):
    """Sums of longer groups need not be scaled so often, and more bits are worth being exact."""
    source, *_ = write(Product(64, 40, 9, size, bits), tmp_path)
    assembly, report = tmp_path / "product.s", tmp_path / "report.txt"
    lutra_compile("--compile-from=tensor", source, "--emit=asm", "-o", assembly,
                  f"--report=kernels:{report}", *FLOAT_TILES)  # fmt: skip
    assert ("mpgemm.matmul bf16" in report.read_text()) == (dot == "tdpbf16ps")
    text = assembly.read_text()
    assert set(re.findall(r"\t(tdp\w+)\t", text)) == {dot}
    # Rows pass by a panel that stays.
    assert ("\ttileloaddt1\t" in text) == (dot == "tdpbf16ps")
