# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with codes: all bits, kinds of zero points and rows at each level of
instructions, at sizes at which vectors, chunks, groups and tiles end, and where sums
are as large as they can become."""

import itertools
import re
import subprocess
import sys

import lutra
import numpy as np
import pytest
from conftest import lutra_compile
from packed_products import LEVELS, Product, write

#: Columns, groups and codes of a group.
SIZES = [
    (1, 1, 33),
    (7, 3, 20),
    (16, 2, 128),
    (17, 5, 16),
    (33, 1, 36),
    (40, 3, 7),
    (70, 4, 32),
    (300, 2, 64),
]
ROWS = [1, 3, 8, 33]
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


def run(source, x, *options):
    artifact = source.with_suffix(".so")
    lutra_compile("--compile-from=tensor", source, "-o", artifact, *options)
    return lutra.load(artifact)(x)["y"]


def check(case, folder, *options, seed=0, error=2e-6):
    source, x, result, size = write(case, folder, seed)
    got = run(source, x, "--lookups=never", *options)
    # Sums of integers are exact, those over groups are in f32.
    np.testing.assert_array_less(np.abs(got - result), error * size + 1e-30)


def cases():
    """Each number of bits with each kind of x at each level, and all else in turns."""
    turns = zip(itertools.cycle(SIZES), itertools.cycle(ROWS[1:] + ROWS))
    kinds = itertools.cycle(["shared", "codes", "floats"])
    for bits, integers, level in itertools.product(range(1, 9), [True, False], LEVELS):
        (columns, groups, size), rows = next(turns)
        yield Product(rows, columns, groups, size, bits, integers, next(kinds)), level


@pytest.mark.parametrize("case, level", list(cases()), ids=str)
def test_affine(case, level, tmp_path):
    check(case, tmp_path, f"--mcpu={level}", seed=case.bits)


@pytest.mark.parametrize("rows", [0, *ROWS])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("scales", ["f32", "f16"])
def test_rows(rows, dynamic, scales, tmp_path):
    case = Product(rows, 70, 3, 32, 4, scales=scales, dynamic=dynamic)
    check(case, tmp_path, "--mattr=-amx-bf16")


#: Groups of a row and super-scales of it.
SUPER_BLOCKS = [(1, 1), (7, 1), (7, 2), (7, 4), (7, 7), (8, 2), (9, 5)]


@pytest.mark.parametrize("scales", ["i8", "f8E4M3FN", "f8E8M0FNU", "f16"])
@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("level", LEVELS)
def test_super_blocks(scales, integers, level, tmp_path):
    first = LEVELS.index(level) + integers
    for turn in range(first, first + 3):
        groups, blocks = SUPER_BLOCKS[turn % len(SUPER_BLOCKS)]
        rows = (ROWS[1:] + [17])[turn % len(ROWS)]
        blocks = 0 if scales == "f8E8M0FNU" and turn % 2 else blocks
        zeros = ["shared", "codes", "floats"][turn % 3]
        case = Product(rows, 33 + turn, groups, 32, 4, integers, zeros, scales, super_scales=blocks)
        check(case, tmp_path, f"--mcpu={level}", seed=turn)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", [
    Product(3, 33, 7, 32, 1, scales="i8", super_scales=4, planes=2),
    Product(8, 17, 5, 64, 2, False, scales="i8", super_scales=2, trellis=True),
    Product(3, 40, 5, 64, 8, scales="i8", super_scales=3, vector=8, books=2),
], ids=str)  # fmt: skip
def test_super_blocks_of_other_formats(case, level, tmp_path):
    check(case, tmp_path, f"--mcpu={level}")


@on_tiles
@pytest.mark.parametrize("scales", ["i8", "f8E4M3FN"])
def test_super_blocks_of_tiles(scales, tmp_path):
    check(Product(40, 70, 9, 64, 4, scales=scales, super_scales=3), tmp_path, *TILES)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("level", LEVELS)
def test_codebook(bits, level, tmp_path):
    zeros = ["shared", "codes", "floats"][bits % 3]
    case = Product(3, 37, 2, 24, bits, False, zeros, codebook=True)
    check(case, tmp_path, f"--mcpu={level}")


@pytest.mark.parametrize("planes", [1, 2, 3, 5])
@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("level", LEVELS)
def test_planes(planes, integers, level, tmp_path):
    """Groups of x that several groups of codes are multiplied with."""
    turn = planes + 4 * LEVELS.index(level)
    size = SIZES[turn % len(SIZES)]
    case = Product(ROWS[turn % 4], *size, 1, integers, planes=planes, dynamic=turn % 2 == 0)
    check(case, tmp_path, f"--mcpu={level}", seed=turn)


#: Also groups that chunks do not divide, whose codes are not packed.
TRELLIS_SIZES = [
    (1, 1, 33),
    (7, 3, 96),
    (16, 2, 128),
    (17, 5, 32),
    (33, 1, 36),
    (40, 3, 7),
    (70, 4, 32),
    (40, 3, 50),
    (300, 2, 64),
]


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("level", LEVELS)
def test_trellis(bits, integers, level, tmp_path):
    for turn in range(bits + LEVELS.index(level) % 2, len(TRELLIS_SIZES) + bits, 2):
        size = TRELLIS_SIZES[turn % len(TRELLIS_SIZES)]
        case = Product(ROWS[turn % 4], *size, bits, integers, trellis=True)
        check(case, tmp_path, f"--mcpu={level}", seed=turn)


#: Columns, groups and numbers of a group: with rest in vectors, tiles, and all at once.
VECTOR_SIZES = [(1, 1, 32), (7, 3, 96), (16, 2, 128), (17, 5, 32), (33, 1, 160), (70, 4, 64),
                (300, 2, 64)]  # fmt: skip
#: Bits, numbers of a vector and codebooks: those of formats, and what makes other chunks.
VECTORS = [(8, 8, 1), (8, 4, 1), (8, 8, 2), (6, 4, 2), (6, 8, 4), (8, 4, 2), (8, 8, 4), (4, 4, 1),
           (5, 8, 2), (7, 2, 1), (4, 4, 4), (6, 8, 1)]  # fmt: skip


@pytest.mark.parametrize("form", VECTORS, ids=str)
@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("level", LEVELS)
def test_vectors(form, integers, level, tmp_path):
    """Each format at each level, and all sizes with all rows in turns."""
    bits, size, books = form
    first = VECTORS.index(form) + 3 * LEVELS.index(level) + integers
    for turn in (first, first + 3):
        shape = VECTOR_SIZES[turn % len(VECTOR_SIZES)]
        case = Product(ROWS[turn % 4], *shape, bits, integers, vector=size, books=books)
        check(case, tmp_path, f"--mcpu={level}", seed=turn)


@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("rows", [0, *ROWS])
def test_rows_of_vectors(integers, rows, tmp_path):
    case = Product(rows, 70, 3, 96, 8, integers, vector=8, books=2, dynamic=True, scales="f16")
    check(case, tmp_path)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("books", [1, 4])
def test_largest_sums_of_vectors(level, books, tmp_path):
    """Every number is -128 and every x the largest, for as long as a group may be."""
    size = (2**31 - 1) // (255 * 128) // 32 * 32
    case = Product(2, 17, 1, size, 8, vector=8, books=books, extreme=True)
    check(case, tmp_path, f"--mcpu={level}")


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


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("level", LEVELS)
def test_codebook_of_bytes(bits, level, tmp_path):
    """Codes that stand for integers, multiplied with such."""
    zeros = ["shared", "codes", "floats"][bits % 3]
    turn = bits + LEVELS.index(level)
    case = Product(ROWS[turn % 2], *SIZES[turn % len(SIZES)], bits, True, zeros, codebook=True)
    check(case, tmp_path, f"--mcpu={level}", seed=turn)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", [
    Product(40, 33, 5, 64, 4, False, "floats", codebook=True, whole=True),
    Product(17, 70, 2, 256, 3, False, "codes", codebook=True, whole=True),
    Product(40, 33, 2, 256, 1, False, planes=2), Product(21, 33, 3, 64, 4, False, trellis=True),
], ids=str)  # fmt: skip
def test_other_formats_by_many_floats(case, level, tmp_path):
    check(case, tmp_path, f"--mcpu={level}")


@pytest.mark.parametrize("bits", [1, 2, 4, 7, 8])
@pytest.mark.parametrize("level", LEVELS)
def test_largest_sums(bits, level, tmp_path):
    """Every code and number is the largest, for as long as a group may be."""
    size = (2**31 - 1) // (((1 << bits) - 1) * 128)
    case = Product(2, 17, 1, min(size, 1 << 16), bits, zeros="codes", extreme=True)
    check(case, tmp_path, f"--mcpu={level}")


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


def test_longer_groups_are_refused(tmp_path):
    case = Product(1, 1, 1, (2**31 - 1) // (255 * 128) + 1, 8)
    source, *_ = write(case, tmp_path)
    artifact = tmp_path / "product.so"
    run = lutra_compile("--compile-from=tensor", source, "-o", artifact, expect=3)
    assert "expects groups whose sums fit 32 bits, got 65794 codes of 8 bits" in run.stderr
    assert not artifact.exists()


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("cpu, rows, dot", [
    ("generic", 1, "sadalp"), ("cortex-a76", 1, "sdot"), ("ampere1", 1, "usdot"), ("ampere1", 8, "usmmla"),
])  # fmt: skip
def test_arm(cpu, rows, dot, bits, tmp_path):
    source, *_ = write(Product(rows, 20, 2, 32, bits), tmp_path)
    assembly = tmp_path / "product.s"
    target = ("--mtriple=aarch64-linux-gnu", f"--mcpu={cpu}")
    lutra_compile("--compile-from=tensor", source, "--emit=asm", "-o", assembly, *target)
    found = set(re.findall(r"\t(sadalp|u?sdot|usmmla)\t", assembly.read_text()))
    assert found == {dot}


@pytest.mark.parametrize("level", LEVELS)
def test_numbers_that_are_none(level, tmp_path):
    """Where a group has one, so has its row, and no other; zeros alone are 0."""
    source, x, result, size = write(Product(6, 20, 3, 32, 4), tmp_path)
    artifact = tmp_path / "product.so"
    lutra_compile("--compile-from=tensor", source, "-o", artifact, f"--mcpu={level}")
    x[0, 1, 5], x[1, 2, 0], x[2, 0, 31], x[3] = np.nan, np.inf, -np.inf, 0
    got = lutra.load(artifact)(x)["y"]
    assert np.isnan(got[:3]).all()
    assert (got[3] == 0).all()
    np.testing.assert_array_less(np.abs(got - result)[4:], 2e-6 * size[4:])
