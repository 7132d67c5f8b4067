# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Cases of other suites on AArch64, under qemu: every kind of kernel at each level of
instructions, at a few sizes. What a level lacks, the machine that it runs on lacks too."""

import emulated
import lutra
import numpy as np
import packed_products as packed
import pytest
import test_attention
import test_bf16_products as bf16
import test_byte_convolutions as convolutions
import test_byte_products as products_of_bytes
import test_language_model as language_model
import test_looked_up_products as looked_up
import test_narrow_attention as narrow_attention
import test_narrow_floats as narrow_floats
import test_quantize as quantize
import test_recurrent as recurrent
import stored_keys
import variants
from cascades import Graph
from cascades import check as check_cascade
from differential import check as check_graph
from packed_products import Product, write
from test_shapes import KINDS, drawn

pytestmark = pytest.mark.skipif(bool(emulated.missing()), reason=emulated.missing())

#: NEON; dot products; products of matrices of bytes, and bf16; SVE too.
LEVELS = ["cortex-a53", "cortex-a76", "ampere1", "neoverse-v1"]
at_each_level = pytest.mark.parametrize("level", LEVELS)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """The suites call lutra.compile and lutra.load."""
    monkeypatch.setattr(lutra, "compile", emulated.compile)
    monkeypatch.setattr(lutra, "load", emulated.load)


def target(level):
    """Flags of lutra-compile."""
    return f"--mtriple={emulated.TRIPLE}", f"--mcpu={level}"


def turn(choices, *numbers):
    return choices[sum(numbers) % len(choices)]


# Products with codes.


@at_each_level
@pytest.mark.parametrize("integers", [True, False], ids=["integers", "floats"])
@pytest.mark.parametrize("bits", range(1, 9))
def test_codes(bits, integers, level, tmp_path):
    number = bits + 3 * LEVELS.index(level) + integers
    size, rows = turn(packed.SIZES, number), turn(packed.ROWS, number)
    zeros = turn(["shared", "codes", "floats"], bits, LEVELS.index(level))
    packed.check(Product(rows, *size, bits, integers, zeros), tmp_path, *target(level))


@at_each_level
@pytest.mark.parametrize("rows", [0, 2, 5, 7])
def test_rows(rows, level, tmp_path):
    packed.check(Product(rows, 70, 3, 32, 4, dynamic=rows != 5), tmp_path, *target(level))


@at_each_level
@pytest.mark.parametrize("case", [
    Product(3, 37, 2, 24, 3, False, "codes", codebook=True),
    Product(3, 33, 1, 36, 4, True, "floats", codebook=True),
    Product(5, 40, 3, 7, 1, planes=3), Product(3, 17, 5, 16, 1, False, planes=2),
    Product(3, 40, 3, 50, 2, trellis=True), Product(2, 33, 1, 36, 3, False, trellis=True),
    Product(21, 33, 3, 64, 4, False, trellis=True), Product(40, 33, 5, 64, 4, False),
    Product(3, 33, 2, 96, 8, vector=8, books=2), Product(21, 17, 1, 160, 6, False, vector=4, books=2),
], ids=str)  # fmt: skip
def test_formats(case, level, tmp_path):
    packed.check(case, tmp_path, *target(level))


@at_each_level
@pytest.mark.parametrize("bits", [1, 3, 4, 7, 8])
def test_largest_sums(bits, level, tmp_path):
    size = min((2**31 - 1) // (((1 << bits) - 1) * 128), 1 << 14)
    packed.check(Product(3, 17, 1, size, bits, zeros="codes", extreme=True), tmp_path, *target(level))


@at_each_level
@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("case", [
    Product(3, 70, 4, 32, 0), Product(7, 33, 1, 36, 0, zeros="codes", dynamic=True),
    Product(1, 300, 2, 64, 0, zeros="floats"), Product(3, 37, 1, 4100, 0, zeros="codes", extreme=True),
], ids=str)  # fmt: skip
def test_tables(case, bits, level, tmp_path):
    looked_up.check(case._replace(bits=bits), tmp_path, level, f"--mtriple={emulated.TRIPLE}")


@at_each_level
@pytest.mark.parametrize("name", ["int4", "ternary", "trellis2", "aqlm2", "iq4", "nvfp4"])
def test_quantized(name, level):
    quantize.test_integer_activations(name, level)


@at_each_level
@pytest.mark.parametrize("kind", ["FLOAT4E2M1", "FLOAT8E4M3FN", "FLOAT8E5M2"])
def test_narrow_floats(kind, level):
    narrow_floats.test_levels(kind, level)


# Products of bytes.


@at_each_level
@pytest.mark.parametrize("size", products_of_bytes.SIZES, ids=str)
def test_bytes(size, level):
    number = products_of_bytes.SIZES.index(size) + LEVELS.index(level)
    types = turn([np.uint8, np.int8], number), turn([np.uint8, np.int8], number // 2)
    zeros = turn([None, 100, "input"], number), turn([None, 100], number)
    products_of_bytes.check(size, *types, *zeros, level)


@at_each_level
@pytest.mark.parametrize("a_type", [np.uint8, np.int8])
@pytest.mark.parametrize("b_type", [np.uint8, np.int8])
def test_largest_bytes(a_type, b_type, level):
    products_of_bytes.check(((3,), 515, 33), a_type, b_type, 127, 127, level, extreme=True)


@at_each_level
@pytest.mark.parametrize("number", range(0, len(convolutions.CASES), 3))
def test_convolutions_of_bytes(number, level):
    types = turn(["u8", "s8"], number), turn(["s8", "u8"], LEVELS.index(level))
    zeros = turn(["none", "one", "input", "features"], number, LEVELS.index(level))
    convolutions.check(convolutions.CASES[number], types, zeros, level)


# Floats.


@at_each_level
@pytest.mark.parametrize("sizes", [(1, 64, 100), (19, 70, 50), (33, 67, 90)], ids=str)
def test_bf16(sizes, level):
    bf16.check_weight(sizes, mcpu=level)


@at_each_level
@pytest.mark.parametrize("turned", [False, True], ids=["plain", "turned"])
def test_bf16_batches(turned, level):
    bf16.check((2, 5, 35, 50), turned, mcpu=level)


@at_each_level
@pytest.mark.parametrize("case", narrow_attention.CASES[:7:2], ids=str)
def test_narrow_attention(case, level):
    narrow_attention.check(case, causal=case[2] == 37, cpu=level)


@at_each_level
@pytest.mark.parametrize("write", [variants.gqa, variants.alibi, variants.softcap, stored_keys.kv4_packed])
def test_cascades(write, level, tmp_path):
    graph = Graph(dynamic=level == "cortex-a76")
    write(graph)
    check_cascade(graph, tmp_path, [dict.fromkeys(graph.dims, 1)], mcpu=level)


@pytest.mark.parametrize("name", test_attention.VARIANTS)
def test_attention_operator(name, monkeypatch):
    monkeypatch.setattr(lutra, "compile", lambda model: emulated.compile(model, mcpu="cortex-a53"))
    test_attention.test_beside_onnx_runtime(name)


@at_each_level
@pytest.mark.parametrize("variant", ["LSTM", "GRU"])
def test_recurrent(variant, level):
    recurrent.test_levels(variant, level)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
def test_families(kind, seed):
    number = 4 * list(KINDS).index(kind) + seed
    check_graph(drawn(kind, number), mcpu=turn(LEVELS, number, seed), threads=1 + seed % 2)


# The runtime.


def test_what_a_machine_lacks(tmp_path):
    """An artifact says so before it runs."""
    source, *_ = write(Product(3, 17, 1, 32, 4), tmp_path)
    artifact = source.with_suffix(".so")
    packed.lutra_compile("--compile-from=tensor", source, "-o", artifact, *target("ampere1"))
    with pytest.raises(lutra.RunError, match=r"this CPU \(AArch64\) lacks .*dotprod, bf16, i8mm"):
        emulated.run_tool("cortex-a53", artifact)


def test_writes_text(numerals, tmp_path):
    """With a state."""
    artifact = tmp_path / "numerals.so"
    lutra.compile(numerals, artifact, state=language_model.STATE, mcpu="cortex-a53")
    options = "--generate=1994=", f"--tokenizer={numerals.with_name('tokenizer.json')}"
    assert emulated.run_tool("cortex-a53", artifact, *options) == "MCMXCIV\n"
