# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Keys and values that lie in blocks, which a table joins: that the numbers are
right, and that nothing is copied together before the cascade."""

import lutra
import ml_dtypes
import numpy as np
import pytest
from cascades import F32, F64, Graph, check, compare, compile, evaluate, sizes
from variants import repeat

BATCH, HEADS = 2, 2


def positions_of_blocks(g, table, block):
    """As many coordinates as a row of the table has keys."""
    count = g.node("Mul", g.size(table, 1), g.constant(block, np.int64))
    return g.range(count), count


def paged(g, block=16, p=37, count=9, pool=24, e=24, f=40, heads_first=False, indices=np.int64,
          times=1, mask=None, stored=None, low=0):
    """A pool of blocks for keys and one for values, and a table for both."""
    p, count = g.dim("p", p), g.dim("n", count)
    q = g.input("q", BATCH, HEADS * times, p, e)
    table = g.input("table", BATCH, count, dtype=indices,
                    make=lambda s: g.random.integers(low, pool, s))  # fmt: skip

    def joined(name, size):
        order = (pool, HEADS, block) if heads_first else (pool, block, HEADS)
        x = (stored or plainly)(g, name, (*order, size), table)
        x = g.node("Transpose", x, perm=[0, 2, 1, 3, 4] if heads_first else [0, 3, 1, 2, 4])
        x = g.node("Reshape", x, g.ints(BATCH, HEADS, -1, size))
        return repeat(g, x, times, size=size) if times > 1 else x

    scores = g.scores(q, joined("k", e), 0.2)
    if mask:
        scores = mask(g, scores, q, table, block)
    g.output(g.attend(scores, joined("v", f)))


def plainly(g, name, shape, table):
    return g.node("Gather", g.input(name, *shape), table, axis=0)


def as_bf16(g, name, shape, table):
    pool = g.input(name, *shape, dtype=ml_dtypes.bfloat16)
    return g.node("Cast", g.node("Gather", pool, table, axis=0), to=F32)


def as_bytes(g, name, shape, table):
    """A scale for each token and head."""
    pool = g.input(name, *shape, dtype=np.int8, make=lambda s: g.random.integers(-127, 128, s))
    scale = g.input(name + "_scale", *shape[:-1], 1, make=lambda s: g.random.random(s) / 64)
    codes = g.node("Cast", g.node("Gather", pool, table, axis=0), to=F32)
    return g.node("Mul", codes, g.node("Gather", scale, table, axis=0))


def causal(g, scores, q, table, block):
    keys, count = positions_of_blocks(g, table, block)
    queries = g.size(q, 2)
    rows = g.column(g.range(queries, g.node("Sub", count, queries)))
    return g.masked(scores, g.node("LessOrEqual", keys, rows))


def valid(g, scores, q, table, block):
    """A length for each member of the batch."""
    keys, _ = positions_of_blocks(g, table, block)
    lengths = g.input("lengths", BATCH, 1, 1, 1, dtype=np.int64,
                      make=lambda s: g.random.integers(1, 2 * block, s))  # fmt: skip
    return g.masked(scores, g.node("Less", keys, lengths))


DRAWS = [{"p": p, "n": n} for p, n in ((1, 1), (1, 9), (5, 3), (40, 12))]


def made_of(folder, dynamic, **options):
    graph = Graph(dynamic)
    paged(graph, **options)
    return check(graph, folder, DRAWS, peer="stored" not in options)


def is_one_kernel(made):
    return (made.cascades, made.others, made.before, made.after) == (1, 0, 3, 1)


@sizes
@pytest.mark.parametrize("heads_first", [False, True])
@pytest.mark.parametrize("block", [8, 16, 20, 64, 256])
def test_blocks(tmp_path, block, heads_first, dynamic):
    """Shorter than a part, longer, and neither one nor the other in whole."""
    count = max(3, 180 // block)
    made = made_of(tmp_path, dynamic, block=block, count=count, heads_first=heads_first)
    assert is_one_kernel(made)


@sizes
@pytest.mark.parametrize("stored", [as_bf16, as_bytes])
@pytest.mark.parametrize("block", [16, 64])
def test_types(tmp_path, block, stored, dynamic):
    assert is_one_kernel(made_of(tmp_path, dynamic, block=block, stored=stored))


@sizes
@pytest.mark.parametrize("options", [
    {"times": 3}, {"indices": np.int32}, {"mask": causal}, {"low": -24},
    {"times": 3, "mask": causal, "stored": as_bf16}, {"times": 4, "p": 1, "mask": causal},
], ids=lambda options: "-".join(options))  # fmt: skip
def test_forms(tmp_path, options, dynamic):
    assert is_one_kernel(made_of(tmp_path, dynamic, **options))


@sizes
@pytest.mark.parametrize("stored", [plainly, as_bytes])
def test_lengths_of_members(tmp_path, stored, dynamic):
    """Which keys are valid is written out, and read as it is; keys are not."""
    made = made_of(tmp_path, dynamic, times=4, mask=valid, stored=stored)
    assert (made.cascades, made.others, made.after) == (1, 2, 1)


@pytest.mark.parametrize("block", [16, 48, 64])
def test_parts(tmp_path, block):
    """Of one query, parts of the keys are tasks, which begin where blocks do."""
    made = made_of(tmp_path, False, block=block, p=1, count=4096 // block, pool=300)
    assert (made.cascades, made.others, made.after) == (2, 0, 1) and made.parts


@pytest.mark.parametrize("p", [1, 37])
@pytest.mark.parametrize("block", [1, 4])
def test_blocks_that_are_not_worth_it(tmp_path, block, p):
    """Shorter ones, down to single rows, are joined before."""
    made = made_of(tmp_path, False, block=block, p=p, count=144 // block)
    assert (made.cascades, made.after) == (1, 1) and made.others > 0


@pytest.mark.parametrize("stored", [plainly, as_bf16, as_bytes])
@pytest.mark.parametrize("p", [1, 37])
@pytest.mark.parametrize("block", [1, 16, 64])
def test_indices_that_are_out_of_range(tmp_path, block, p, stored):
    """Negative ones count from the end, and nothing outside is read: what is still
    out of range is the first or the last block, wherever it is gathered."""
    pool = 24
    graph = Graph()
    paged(graph, block=block, p=p, pool=pool, stored=stored)
    model, _ = compile(graph, tmp_path)
    arrays = graph.arrays({})
    wild = [-1, -pool, -pool - 1, pool, pool + 1, 2**31, -(2**31), 2**63 - 1, -(2**63)]
    arrays["table"][:] = wild
    (actual,) = model(arrays).values()
    table = arrays["table"]
    arrays["table"] = np.clip(np.where(table < 0, table + pool, table), 0, pool - 1)
    (exact,), (near,) = (evaluate(graph, arrays, real) for real in (F64, F32))
    compare(actual, exact, near, "out of range")


def test_threads_do_not_matter(tmp_path):
    graph = Graph()
    paged(graph, block=16, p=1, count=256, pool=300)
    arrays = graph.arrays({})
    results = [lutra.compile(graph.model(), threads=n)(arrays) for n in (1, 2, 3)]
    for other in results[1:]:
        for name, value in results[0].items():
            np.testing.assert_array_equal(value, other[name])


def test_nothing_is_copied():
    """The pools are read in the loop over parts, and no other tensor is as long."""
    graph = Graph()
    paged(graph, block=64, count=64, pool=80)
    ir = lutra.ir(graph.model(), "tile")
    loop = ir[ir.index("scf.for") :]
    assert "tensor.extract_slice" in loop and "tensor<2x2x4096" not in ir
