# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention in all its variants, and other fused chains: that the numbers are
right, and what was made of each. docs/Cascades.md is written from this file.

What is asserted of kernels and passes is what the compiler does, also where that
is less than could be done; a line that no longer holds because it does more is to
be changed here and there.
"""

import attention_forms
import lutra
import numpy as np
import pytest
import row_chains
import stored_keys
import variants
from cascades import Graph, built, check, compile, made_of, sizes

#: Kernels that are cascades, the most passes over a rank as exported and as
#: compiled, and whether all is one kernel with static and with symbolic sizes.
ALWAYS, NEVER = (True, True), (False, False)
VARIANTS = {
    "mha": (1, 3, 1, ALWAYS),
    "mqa": (1, 3, 1, ALWAYS),
    "gqa": (1, 3, 1, ALWAYS),
    "mla": (1, 3, 1, ALWAYS),
    "mla_concatenated": (1, 3, 1, ALWAYS),
    "causal": (1, 3, 1, ALWAYS),
    "causal_without_heads": (1, 3, 1, ALWAYS),
    "sliding_window": (1, 3, 1, ALWAYS),
    "sinks_and_window": (1, 3, 1, ALWAYS),
    "neighborhood_1d": (1, 3, 1, ALWAYS),
    "neighborhood_2d": (1, 3, 1, ALWAYS),
    "alibi": (1, 3, 1, ALWAYS),
    # What is gathered is computed before, and read.
    "relative_bias": (1, 3, 1, NEVER),
    "bias_input": (1, 3, 1, ALWAYS),
    "softcap": (1, 3, 1, ALWAYS),
    # The column is taken apart from the rank of the keys.
    "learned_sink": (1, 3, 1, ALWAYS),
    # ReduceMax and ReduceSum keep their dimension, which is dropped first.
    "sink_as_start": (1, 3, 1, ALWAYS),
    "smooth_softmax": (1, 3, 1, ALWAYS),
    "shared_prefix_merged": (2, 2, 1, NEVER),
    # No reduction needs another: one pass, where it is cheaper.
    "sigmoid": (1, 1, 1, ALWAYS),
    "linear": (0, 0, 0, NEVER),
    # The keys' map is as wide as they are.
    "linear_causal": (1, 1, 1, NEVER),
    "gated_chunks": (0, 0, 0, NEVER),
    # Joined keys are written out for every member of the batch.
    "shared_prefix": (1, 3, 1, NEVER),
    "tree_mask": (1, 3, 1, ALWAYS),
    "long_and_short_heads": (2, 3, 1, NEVER),
    # The weights are computed for the queries, and for the keys again.
    "column_sums": (2, 3, 1, NEVER),
    # Keys and values are dequantized part by part.
    "kv8_per_channel": (1, 3, 1, ALWAYS),
    "kv8_per_token": (1, 3, 1, ALWAYS),
    "kv4_packed": (1, 3, 1, ALWAYS),
    # The weights are multiplied with queries and results, before and behind.
    "xquant": (1, 3, 1, NEVER),
    # Keys and values are computed to memory before.
    "xquant_many_queries": (1, 3, 1, NEVER),
    # Weights of blocks, which are sorted, in three passes; the attention in one.
    "selected_blocks": (1, 3, 3, NEVER),
    "gathered_blocks": (1, 3, 3, NEVER),
    # Blocks are read where they lie.
    "paged": (1, 3, 1, ALWAYS),
    # Rows that stay in a cache between their passes: one kernel, row by row.
    "softmax": (0, 3, 3, ALWAYS),
    "layer_norm": (0, 3, 3, ALWAYS),
    "moments": (1, 2, 1, ALWAYS),
    "scaled_norm": (0, 2, 2, NEVER),
    "rms_norm_gemm": (0, 2, 1, NEVER),
    "log_sum_exp": (1, 2, 1, ALWAYS),
    "cross_entropy": (1, 2, 1, NEVER),
    "routing": (0, 3, 3, NEVER),
    # The operators.
    "log_sum_exp_operator": (1, 2, 1, ALWAYS),
    "layer_norm_operator": (0, 3, 3, ALWAYS),
    "rms_norm_gemm_operator": (0, 2, 1, NEVER),
}


WRITERS = vars(variants) | vars(stored_keys) | vars(row_chains)


@sizes
@pytest.mark.parametrize("name", VARIANTS)
def test_variant(tmp_path, name, dynamic):
    *expected, alone = VARIANTS[name]
    made = made_of(WRITERS[name], tmp_path, dynamic)
    assert made == (*expected, alone[dynamic])


#: Heads repeated by Unsqueeze, Expand and Reshape are the variant gqa above.
FORMS = {
    "eager": ALWAYS,
    # The scale is computed of a shape.
    "sdpa": NEVER,
    "sdpa_guarded": NEVER,
    "causal_by_triangle": ALWAYS,
    "causal_by_minimum": ALWAYS,
    "causal_by_range": ALWAYS,
    "causal_by_scatter": NEVER,
    # Joined keys and values are results, too.
    "joined_cache": NEVER,
    "attention": ALWAYS,
    # The product that makes queries, keys and values.
    "packed": NEVER,
}


@sizes
@pytest.mark.parametrize("name", FORMS)
def test_exported_form(tmp_path, name, dynamic):
    """However it is written, one kernel goes over the keys once."""
    made = made_of(getattr(attention_forms, name), tmp_path, dynamic)
    assert made == (1, 3, 1, FORMS[name][dynamic])


#: Masks of coordinates: parts that they leave nothing of are not gone over.
SKIPPED = [
    variants.causal,
    variants.causal_without_heads,
    variants.alibi,
    variants.sliding_window,
    variants.sinks_and_window,
    variants.neighborhood_1d,
    variants.neighborhood_2d,
    attention_forms.attention,
    attention_forms.causal_by_range,
    attention_forms.causal_by_triangle,
    attention_forms.causal_by_minimum,
]


@sizes
@pytest.mark.parametrize("write", SKIPPED, ids=lambda write: write.__name__)
def test_parts_that_are_skipped(write, dynamic):
    ir = lutra.ir(built(write, dynamic).model(), "encode")
    (iteration,) = [line for line in ir.splitlines() if "cascade.iterate" in line]
    assert "filter" in iteration


@pytest.mark.parametrize("size", [1, 40, 64, 80, 96, 128, 192, 256, 512])
def test_head_sizes(tmp_path, size):
    def write(g):
        q, k, v = variants.qkv(g, e=size, f=size)
        g.output(g.attend(g.scores(q, k, size**-0.5), v))

    draws = [{"p": p, "m": m} for p, m in ((1, 1), (1, 133), (5, 64), (17, 129), (37, 2))]
    assert made_of(write, tmp_path, True, draws) == (1, 3, 1, True)


@pytest.mark.parametrize(
    ("p", "size", "held"), [(30, 1000, True), (1, 1024, True), (30, 1030, False), (37, 700, False)]
)
def test_long_heads_of_few_rows(tmp_path, p, size, held):
    """With half of the rows, a tile has room for twice as much of each."""

    def write(g):
        q, k, v = variants.qkv(g, p=p, e=size, batch=8)
        g.output(g.attend(g.scores(q, k, size**-0.5), v))

    assert made_of(write, tmp_path, False) == (1, 3, 1, held)


def long_heads(g):
    q, k, v = variants.qkv(g, e=640)
    g.output(g.attend(g.scores(q, k, 0.04), v))


def symbolic_heads(g):
    e = g.dim("e", 24)
    q, k, v = (g.input(*x) for x in (("q", 2, 2, 37, e), ("k", 2, 2, 133, e), ("v", 2, 2, 133, 40)))
    g.output(g.attend(g.scores(q, k, 0.2), v))


def symbolic_values(g):
    f = g.dim("f", 40)
    q, k, v = (g.input(*x) for x in (("q", 2, 2, 37, 24), ("k", 2, 2, 133, 24), ("v", 2, 2, 133, f)))
    g.output(g.attend(g.scores(q, k, 0.2), v))


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        # The scores are a product of its own, in memory.
        (long_heads, (1, 3, 1, False)),
        (symbolic_heads, (1, 3, 1, False)),
        # What a row carries along must be of a known size.
        (symbolic_values, (0, 3, 3, False)),
    ],
)
def test_heads_that_are_not_held(tmp_path, write, expected):
    assert made_of(write, tmp_path, True) == expected


def test_long_sums(tmp_path):
    """One number after the other, they are less exact than NumPy's, which adds in pairs."""

    def write(g):
        x, weight = g.input("x", 37, 16384), np.random.default_rng(4).standard_normal((16384, 8))
        scaled = g.node("RMSNormalization", x, g.constant(np.ones(16384)), axis=-1)
        g.output(g.node("MatMul", scaled, g.constant(weight)))

    check(built(write), tmp_path, floor=1e-5)


@sizes
@pytest.mark.parametrize(
    ("write", "last"),
    [(row_chains.routing, 3), (stored_keys.selected_blocks, 3), (stored_keys.gathered_blocks, 1)],
    ids=["routing", "selected_blocks", "gathered_blocks"],
)
def test_choices_are_barriers(tmp_path, write, last, dynamic):
    """What is chosen of shares is chosen in the cascade that computes these."""
    graph = Graph(dynamic)
    write(graph)
    _, report = compile(graph, tmp_path)
    (barrier,) = [text for text in report.refusals if text.startswith("top-k")]
    assert barrier == (
        f"top-k over m: barrier behind pass {last} of {last}, "
        "which points of m are chosen depends on all of them"
    )


@sizes
def test_refusals_say_why(tmp_path, dynamic):
    """A maximum must not leave exp: the report names what is not bounded."""
    _, report = compile(built(variants.mha, dynamic), tmp_path)
    (refusal,) = report.refusals
    assert refusal == "A hoist exp(-max[m]) out of sum[m]: exp(sum[e] * 0.2) is unbounded"
