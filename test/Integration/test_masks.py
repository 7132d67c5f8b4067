# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Masks of coordinates: the numbers are right, at sizes where parts of the keys are
empty, full, and between, and what a mask leaves nothing of is not gone over."""

import lutra
import masks
import numpy as np
import pytest
import variants
from cascades import Graph, check, compile, sizes

named = {"ids": lambda x: x.__name__}

#: More keys than queries and the reverse, one and none of them, and such that
#: parts of the keys are between what is kept.
DRAWS = [
    {"p": p, "m": m}
    for p, m in ((1, 1), (1, 300), (300, 1), (5, 700), (700, 130), (129, 128), (0, 40))
]


def filters(write, dynamic):
    graph = Graph(dynamic)
    write(graph)
    ir = lutra.ir(graph.model(), "encode")
    (iteration,) = [line for line in ir.splitlines() if "cascade.iterate" in line]
    return iteration.partition("filters(")[2]


@pytest.mark.parametrize("way", masks.WAYS, **named)
@pytest.mark.parametrize("mask", masks.MASKS, **named)
def test_mask(tmp_path, mask, way):
    """Rows that are masked wholly are NaN, or where the least number is, the mean."""
    graph = Graph(dynamic=True)
    masks.masked(mask, way)(graph)
    made = check(graph, tmp_path, DRAWS, peer=False, dim={"p": (0, None)})
    assert (made.cascades, made.others, made.after) == (1, 0, 1)


@pytest.mark.parametrize(
    ("p", "m", "way"),
    [
        (133, 133, masks.chosen),
        (200, 133, masks.least_added),
        # Parts of the keys that are all as long as each other.
        (512, 512, masks.added),
    ],
)
@pytest.mark.parametrize("mask", masks.MASKS, **named)
def test_static_mask(tmp_path, mask, p, m, way):
    graph = Graph()
    masks.masked(mask, way, p, m)(graph)
    made = check(graph, tmp_path, peer=False)
    assert (made.cascades, made.others, made.after) == (1, 0, 1)


@pytest.mark.parametrize("way", masks.WAYS, **named)
def test_no_keys(tmp_path, way):
    graph = Graph(dynamic=True)
    masks.masked(masks.sinks, way)(graph)
    draws = [{"p": p, "m": m} for p, m in ((5, 0), (0, 0), (0, 5), (5, 5), (200, 300))]
    check(graph, tmp_path, draws, peer=False, dim={"p": (0, None), "m": (0, None)})


@sizes
@pytest.mark.parametrize("mask", masks.MASKS, **named)
def test_what_is_filtered(mask, dynamic):
    """All that leaves whole parts empty is."""
    expected = mask is not masks.sparse
    for way in (masks.added, masks.chosen):
        assert bool(filters(masks.masked(mask, way), dynamic)) == expected


def test_rows_that_may_be_wholly_masked():
    """The least number is no -inf: what a row is without any other depends on all
    of it. Whether there is another is known, or asked where the program runs."""

    def sets(mask, dynamic=False, **sizes):
        text = filters(masks.masked(mask, masks.least_added, **sizes), dynamic)
        return text.partition("]")[0].count("#")

    # Each row has a key of its own number.
    assert sets(masks.causal) == sets(masks.window) == 1
    # More queries than keys: the first rows have none.
    assert sets(masks.causal, p=400) == 2
    assert sets(masks.causal, dynamic=True) == 2
    # The first row has none.
    assert sets(masks.strictly_causal) == 2


def wide(keep, **reaches):
    """`keep` of masks with parts that are left whole between those that are not."""

    def mask(g, rows, columns):
        return keep(g, rows, columns, **reaches)

    return mask


@sizes
@pytest.mark.parametrize("way", [masks.added, masks.least_chosen], **named)
@pytest.mark.parametrize(
    "mask",
    [
        wide(masks.window, size=400),
        wide(masks.sinks, first=3, size=400),
        wide(masks.sinks, first=300, size=250),
        wide(masks.neighborhood, reach=220),
    ],
    ids=["window", "sinks", "many_sinks", "neighborhood"],
)
def test_parts_that_are_whole(tmp_path, mask, way, dynamic):
    """They are computed apart, without the mask, with the rows of many tiles."""
    graph = Graph(dynamic)
    masks.masked(mask, way, 300, 1000)(graph)
    draws = [{"p": p, "m": m} for p, m in ((1, 900), (70, 64), (500, 650), (700, 300))]
    made = check(graph, tmp_path, draws, peer=False)
    assert (made.cascades, made.others, made.after) == (1, 0, 1)


def behind_a_gap(g, way):
    """Keys between the first ones and a window are NaN, farther than a part is long."""
    p, m = g.dim("p", 768), g.dim("m", 768)

    def put(shape):
        k = np.random.default_rng(1).standard_normal(shape)
        k[:, :, 150:480] = np.nan
        return k

    q, v = g.input("q", 2, 2, p, 24), g.input("v", 2, 2, m, 40)
    k = g.input("k", 2, 2, m, 24, make=put)
    keep = masks.sinks(g, *variants.positions(g, q, k))
    g.output(g.attend(way(g, g.scores(q, k, 0.2), keep), v))


@sizes
@pytest.mark.parametrize("way", masks.WAYS, **named)
def test_gap_is_not_gone_over(tmp_path, way, dynamic):
    graph = Graph(dynamic)
    behind_a_gap(graph, way)
    model, _ = compile(graph, tmp_path)
    arrays = graph.arrays(graph.dims)
    (actual,) = model(arrays).values()
    clean = dict(arrays, k=np.nan_to_num(arrays["k"]))
    (expected,) = model(clean).values()
    np.testing.assert_array_equal(actual[:, :, 640:], expected[:, :, 640:])
    np.testing.assert_array_equal(actual[:, :, :64], expected[:, :, :64])
    assert np.isnan(actual[:, :, 200:480]).all()


def joined_with_data(way, **shape):
    """Causal, and of those keys what is an input says."""

    def write(g):
        q, k, v = variants.qkv(g, p=200, m=300)
        sizes = [g.dim(x, n) if shape.get(x) else 1 for x, n in (("p", 200), ("m", 300))]
        keep = g.input("keep", 2, 1, *sizes, dtype=bool,
                       make=lambda s: g.random.random(s) < 0.8)  # fmt: skip
        keep = g.node("And", keep, masks.causal(g, *variants.positions(g, q, k)))
        g.output(g.attend(way(g, g.scores(q, k, 0.2), keep), v))

    return write


@sizes
@pytest.mark.parametrize("shape", [{"m": 1}, {"p": 1}, {"p": 1, "m": 1}], ids=["m", "p", "pm"])
@pytest.mark.parametrize("way", masks.WAYS, **named)
def test_joined_with_data(tmp_path, way, shape, dynamic):
    """Data is read where the mask is computed. It may mask any key, so that no row
    is known to have one that is not the least number."""
    write = joined_with_data(way, **shape)
    graph = Graph(dynamic)
    write(graph)
    made = check(graph, tmp_path, DRAWS[:-1], peer=False)
    assert (made.cascades, made.others, made.after) == (1, 0, 1)
    assert bool(filters(write, dynamic)) == (way in (masks.added, masks.chosen))


def test_static_queries_and_symbolic_keys(tmp_path):
    """The Range of the queries begins at a symbolic number and has a static length."""
    graph = Graph(dynamic=True)
    q = graph.input("q", 1, 2, 3, 16)
    k, v = (graph.input(name, 1, 2, graph.dim("m", 133), 16) for name in "kv")
    rows, columns = variants.positions(graph, q, k)
    scores = graph.masked(graph.scores(q, k, 0.2), graph.node("LessOrEqual", columns, rows))
    graph.output(graph.attend(scores, v))
    assert check(graph, tmp_path, [{"m": 3}]).after == 1
