# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with codes as IR with its file of weights, and what they are in numpy.

ONNX cannot say all that the dialect can: codebooks of any bits, groups of any length,
zero points of any kind with any of them."""

import re
from pathlib import Path
from typing import NamedTuple

import lutra
import ml_dtypes
import numpy as np
from conftest import lutra_compile
from low_bit import pack, rounded
from test_shapes import LEVELS as ALL_LEVELS

#: With what multiplies bytes in other ways than all these do.
CPU = open("/proc/cpuinfo").read()
LEVELS = ALL_LEVELS + [
    level
    for level, flag in {"cascadelake": "avx512_vnni", "alderlake": "avx_vnni"}.items()
    if flag in CPU
]

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
SMALL_FLOATS = {"f8E4M3FN": ml_dtypes.float8_e4m3fn, "f8E8M0FNU": ml_dtypes.float8_e8m0fnu}


class Product(NamedTuple):
    rows: int
    columns: int
    groups: int
    size: int  # numbers of a group
    bits: int
    integers: bool = True  # x is quantized to 8 bits
    zeros: str = "shared"  # "shared", "codes" or "floats"
    scales: str = "f32"  # with superscales "i8", or of 8 bits "f8E4M3FN" or "f8E8M0FNU"
    codebook: bool = False
    dynamic: bool = False
    extreme: bool = False  # the largest codes and numbers only
    planes: int = 0  # of binary coding, where there are
    trellis: bool = False
    super_scales: int = 0  # of a row
    whole: bool = False  # a codebook of integers, as it is where x is such
    vector: int = 0  # numbers of a vector, where codes stand for such
    books: int = 1


class Text:
    """The IR of a product, and the bytes of its weights."""

    def __init__(self, file):
        self.file, self.lines, self.bytes = file, [], b""

    def weight(self, name, array, storage, kind, steps=""):
        raw = np.ascontiguousarray(array).tobytes()
        steps = f" steps [{steps}]" if steps else ""
        self.lines.append(
            f'%{name} = lutra.weight "{name}" from "{self.file}"'
            f"[{len(self.bytes)}, {len(raw)}] storage tensor<{storage}>{steps} : tensor<{kind}>"
        )
        self.bytes += raw
        return f"%{name} : tensor<{kind}>"


def data(case, random):
    """x, codes, values of codes, scales and zero points."""
    of_group = case.size * case.books // max(case.vector, 1)
    shape = (case.columns, case.groups * max(case.planes, 1), of_group)
    codes = random.integers(0, 1 << case.bits, shape).astype(np.uint8)
    x = random.standard_normal((case.rows, case.groups, case.size)).astype(np.float32)
    if case.extreme:
        codes[:], x = (1 << case.bits) - 1, np.sign(x[:, :, :1] + 0 * x)
    values = np.arange(1 << case.bits, dtype=np.float32)
    if case.planes:
        values -= 0.5
    elif case.codebook:
        values = random.standard_normal(1 << case.bits).astype(np.float32)
        if case.integers or case.whole:
            values = np.rint(values * 127 / abs(values).max())
    elif case.zeros == "shared":
        values -= 1 << case.bits >> 1
    float_type = np.float16 if case.scales == "f16" else np.float32
    scales = random.uniform(0.5, 1, shape[:2]).astype(float_type)
    if case.scales == "i8":
        scales = random.integers(-128, 128, shape[:2]).astype(np.int8)
    elif case.scales in SMALL_FLOATS:
        small = SMALL_FLOATS[case.scales]
        scales = random.integers(0, 256, shape[:2]).astype(np.uint8)
        scales[scales == 0xFF] = scales[scales == 0x7F] = 1  # no NaN, but what is subnormal
        if case.scales == "f8E8M0FNU":
            scales = scales % 60 + 90
        scales = scales.view(small)
    zeros = {
        "shared": None,
        "codes": random.integers(0, 1 << case.bits, shape[:2]).astype(np.uint8),
        "floats": random.uniform(0, 1 << case.bits, shape[:2]).astype(float_type),
    }[case.zeros]
    return x, codes, values, scales, zeros


def looked_up(x, values, codes, scales, zeros, depth):
    """The result with sums of `depth`-strided numbers rounded to bytes, the sum of what it
    sums up, and what a unit of each of the roundings is worth."""
    keys = 4 // (len(values).bit_length() - 1)
    pad = -x.shape[2] % (depth * keys)
    x = np.pad(x, ((0, 0), (0, 0), (0, pad))).astype(np.float64)
    codes = np.pad(codes, ((0, 0), (0, 0), (0, pad)))

    def split(array):
        return array.reshape(*array.shape[:2], array.shape[2] // (keys * depth), keys, depth)

    least, most = (
        np.stack([x * values.min(), x * values.max()]).min(0),
        np.stack([x * values.min(), x * values.max()]).max(0),
    )
    bound = np.maximum(split(most).sum(3), -split(least).sum(3)).max((2, 3))
    unit = bound / 127
    inverse = np.divide(127, bound, out=np.zeros_like(bound), where=bound > 0)
    numbers = split(values[codes].astype(np.float64))
    sums = np.einsum("mgtid,ngtid->mngtd", split(x), numbers)
    entries = np.rint(sums * inverse[:, None, :, None, None])
    total = entries.sum((3, 4)) * unit[:, None]
    if zeros is not None:
        total -= x.sum(2)[:, None] * zeros.astype(np.float64)
    scales = scales.astype(np.float64)
    size = np.einsum("mgtid,ngtid,ng->mn", abs(split(x)), abs(numbers), scales)
    if zeros is not None:
        size += np.einsum("mgk,ng,ng->mn", abs(x), abs(zeros.astype(np.float64)), scales)
    return np.einsum("mng,ng->mn", total, scales), size, np.einsum("mg,ng->mn", unit, scales)


def trellis_tables():
    """Those of the source, by bits: [mixes and numbers, 16]."""
    root = Path(__file__).resolve().parents[2]
    text = (root / "dialects/Lutra/TrellisCode.cpp").read_text()
    numbers = [int(n) for n in re.findall(r"-?\d+(?=[,}])", text.split("kCodes[]")[1])]
    return np.array(numbers).reshape(3, 4, 16)


def trellis_numbers(codes, bits):
    """What each code [N, G, K] of a trellis stands for, by its definition."""
    first_mix, second_mix, first, second = trellis_tables()[bits - 2]
    rows = codes.reshape(codes.shape[0], -1).astype(np.int64)
    window = np.zeros_like(rows)
    for age in range(12 // bits):
        before = np.pad(rows, ((0, 0), (4 * age, 0)))[:, : rows.shape[1]]
        window |= before << (12 - bits * (age + 1))
    low, middle, high = window & 15, window >> 4 & 15, window >> 8
    numbers = first[high ^ first_mix[low]] + second[middle ^ second_mix[low]]
    return numbers.reshape(codes.shape).astype(np.float64)


def codebook_of(case, seed):
    """What codes of vectors stand for: [books, numbers, codes] of bytes. Of extremes, the
    last one stands for the lowest number."""
    shape = (case.books, case.vector, 1 << case.bits)
    book = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    if case.extreme:
        book[:, :, -1] = 0
    return book


def vector_numbers(codes, book):
    """What codes [N, G, C] of vectors stand for, by its definition."""
    books, size, _ = book.shape
    n, g, count = codes.shape
    codes = codes.reshape(n, g, count // (4 * books), books, 1, 4)
    at = np.arange(books).reshape(-1, 1, 1), np.arange(size).reshape(-1, 1)
    return (book[*at, codes].sum(3) % 256 - 128.0).reshape(n, g, count // books * size)


def write(case, folder, seed=0):
    """The file of a product's IR, x, the result, and the sum of what it sums up."""
    m, n, g, k, bits = case[:5]
    x, codes, values, scales, zeros = data(case, np.random.default_rng(seed))
    text = Text(folder / "product.bin")
    stream = pack(codes.reshape(-1), bits)
    _, of_codes, of_group = codes.shape
    unpack = f"#lutra.unpack<bits = {bits}, flip = false, shape = [{n}, {of_codes}, {of_group}]>"
    w = text.weight("w", stream, f"{len(stream)}xui8", f"{n}x{of_codes}x{of_group}xi8", unpack)
    kind = f"{n}x{of_codes}x{case.scales}"
    operands = f"codes({w}) scales({text.weight('s', scales, kind.replace('xi8', 'xsi8'), kind)})"
    scales = scales.astype(np.float64)
    if case.super_scales:
        shared = np.random.default_rng(seed).uniform(-0.1, 0.1, (n, case.super_scales)).astype(np.float16)
        of_super = f"{n}x{case.super_scales}xf16"
        operands += f" superscales({text.weight('ss', shared, of_super, of_super)})"
        block = -(-of_codes // case.super_scales)
        scales = scales * np.repeat(shared.astype(np.float64), block, 1)[:, :of_codes]
    if case.vector:
        book = codebook_of(case, seed)
        kind = "x".join(map(str, book.shape))
        operands += f" codebook({text.weight('b', book, kind + 'xui8', kind + 'xi8')})"
        numbers = vector_numbers(codes, book)
    else:
        numbers = trellis_numbers(codes, bits) if case.trellis else values[codes]
    numbers = numbers.astype(np.float64)
    if zeros is not None:
        stored = f"{n}x{g}x" + ("ui8" if case.zeros == "codes" else "f16" if zeros.dtype == np.float16 else "f32")
        z = text.weight("z", zeros, stored, stored.replace("ui8", "i8"))
        operands += f" zeros({z})"
        numbers -= zeros[:, :, None].astype(np.float64)
    if case.planes:
        form = f"binary<planes = {case.planes}>"
    elif case.trellis:
        form = f"trellis<bits = {bits}>"
    elif case.vector:
        form = f"vectors<bits = {bits}, size = {case.vector}, books = {case.books}>"
    elif case.codebook:
        listed = ", ".join(f"{value:.9e}" for value in values)
        form = f"codebook<bits = {bits}, values = [{listed}]>"
    else:
        form = f"affine<bits = {bits}, zero = {int(-values[0])}>"
    (folder / "product.bin").write_bytes(text.bytes)
    (folder / "product.mlir").write_text(module(case, text, operands, form))
    seen = x.astype(np.float64)
    if case.integers:
        whole, scale = rounded(x)
        seen = whole.astype(np.float64) * scale
    weights = numbers * scales[:, :, None]
    if case.planes:
        weights = weights.reshape(n, g, case.planes, k)
        size = np.einsum("mgk,ngpk->mn", abs(seen), abs(weights))
        return folder / "product.mlir", x, np.einsum("mgk,ngpk->mn", seen, weights), size
    result = np.einsum("mgk,ngk->mn", seen, weights)
    size = np.einsum("mgk,ngk->mn", abs(seen), abs(weights))
    return folder / "product.mlir", x, result, size


def module(case, text, operands, form):
    m, n, g, k = "?" if case.dynamic else case.rows, *case[1:4]
    x, y = f"tensor<{m}x{g}x{k}xf32>", f"tensor<{m}x{n}xf32>"
    dims, dim, size, symbols = "[]", "", "", "()"
    if case.dynamic:
        dims = '[{name = "m", min = 0 : i64, max = 1024 : i64, multiple = 1 : i64}]'
        dim, size, symbols = '%m = lutra.dim "m" min 0 max 1024 multiple 1', "%m", "()[s0]"
    first = "s0" if case.dynamic else m

    def attributes(name, *sizes):
        shape = f"affine_map<{symbols} -> ({', '.join(map(str, (first, *sizes)))})>"
        return f'{{lutra.name = "{name}", lutra.dtype = "FLOAT", lutra.shape = {shape}}}'

    factor = f"%x : {x}"
    quantize = ""
    if case.integers:
        q, s, sums = f"tensor<{m}x{g}x{k}xi8>", f"tensor<{m}x{g}xf32>", f"tensor<{m}x{g}xi32>"
        quantize = f"%q, %qs, %sums = mpgemm.quantize_act %x : {x} -> {q}, {s}, {sums}"
        factor = f"%q : {q}"
        operands += f" xscales(%qs : {s}) xsums(%sums : {sums})"
    weights = "\n    ".join(text.lines)
    return f"""module @product {{
  func.func @main(%x: {x} {attributes("x", g, k)}) -> ({y} {attributes("y", n)})
      attributes {{lutra.dims = {dims}}} {{
    {dim}
    {weights}
    {quantize}
    %e = tensor.empty({size}) : {y}
    %y = mpgemm.matmul #mpgemm.{form} x({factor}) {operands} outs(%e : {y}) -> {y}
    return %y : {y}
  }}
}}
"""


def run(source, x, *options):
    artifact = source.with_suffix(".so")
    lutra_compile("--compile-from=tensor", source, "-o", artifact, *options)
    return lutra.load(artifact)(x)["y"]


def check(case, folder, *options, seed=0, error=2e-6):
    source, x, result, size = write(case, folder, seed)
    got = run(source, x, "--lookups=never", *options)
    # Sums of integers are exact, those over groups are in f32.
    np.testing.assert_array_less(np.abs(got - result), error * size + 1e-30)
