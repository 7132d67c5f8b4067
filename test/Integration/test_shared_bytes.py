# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products whose codes of several columns lie in one byte, where machines have VNNI: each
kind of zero point, by rows, vectors and matrix tiles, and where sums are the largest."""

import numpy as np
import pytest
from low_bit import LowBit
from test_matmul_nbits import check, numbers

#: With AMX, where there is; with its tiles of bytes, and by vectors of 512 and 256 bits.
MACHINES = {
    "native": {},
    "tiles of bytes": {"mattr": "-amx-bf16"},
    "cascadelake": {"mcpu": "cascadelake"},
    "alderlake": {"mcpu": "alderlake"},
}
BITS = [2, 4]
#: Columns, codes and groups: some columns are missing, groups are short, long, uneven, one.
SIZES = [(64, 128, 32), (57, 100, 16), (200, 260, 128), (122, 1000, 1024)]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("zeros", [None, "packed", "floats"])
def test_rows(zeros, size, machine):
    n, k, block = size
    products = [LowBit(f"y{bits}", n, k, bits, block, zeros, level=4) for bits in BITS]
    for rows in (1, 2, 7, 20, 66):
        # In matrix tiles of bf16 integers and codes, scaled, are rounded again.
        tolerance = 1e-4 if MACHINES[machine] else 5e-3
        check(products, numbers(rows, k, seed=rows), tolerance=tolerance, **MACHINES[machine])


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("bits", BITS)
def test_largest(bits, sign, machine):
    """Of 65536 products the sums of the fields below wrap around in 32 bits."""
    k = 65536
    product = LowBit("y", 57, k, bits, k, "packed", level=4)
    # Neighbours in a byte are as far apart as can be.
    product.codes[...] = (np.arange(57) // 16 % 2 * ((1 << bits) - 1))[:, None, None]
    product.zeros[...] = 0
    largest = LowBit("z", 57, k, bits, k, "packed", level=4)
    largest.codes[...] = (1 << bits) - 1
    largest.zeros[...] = 0
    for each in (product, largest):
        each.inputs["b"] = np.zeros_like(each.inputs["b"])
        each.inputs["b"][each.codes[:, 0, 0] > 0] = 0xFF
        each.inputs["zeros"] = np.zeros_like(each.inputs["zeros"])
    x = np.full((3, k), sign, np.float32)
    check([product, largest], x, tolerance=1e-6, **MACHINES[machine])
