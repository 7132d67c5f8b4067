# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with codes: all bits, kinds of zero points and rows at each level of
instructions, at sizes at which vectors, chunks, groups and tiles end, and where sums
are as large as they can become."""

import itertools
import re

import lutra
import numpy as np
import pytest
from conftest import lutra_compile
from packed_products import LEVELS, ROWS, SIZES, Product, check, write


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
