# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fused chains that are no attention, as exporters write them."""

import numpy as np


def rows(g, length=389):
    return g.input("x", 2, g.dim("p", 37), length)


def softmax(g):
    g.output(g.node("Softmax", rows(g), axis=-1))


def layer_norm(g):
    x = rows(g)
    mean = g.node("ReduceMean", x, g.ints(-1))
    centered = g.node("Sub", x, mean)
    variance = g.node("ReduceMean", g.node("Mul", centered, centered), g.ints(-1))
    deviation = g.node("Sqrt", g.node("Add", variance, g.constant(1e-5)))
    scale = g.constant(np.linspace(0.5, 2, 389))
    g.output(g.node("Mul", g.node("Div", centered, deviation), scale))


def moments(g, length=1000):
    """Mean and deviation of each row, as pooling over time has them."""
    x = rows(g, length)
    mean = g.node("ReduceMean", x, g.ints(-1))
    centered = g.node("Sub", x, mean)
    variance = g.node("ReduceMean", g.node("Mul", centered, centered), g.ints(-1))
    g.output(mean, g.node("Sqrt", g.node("Add", variance, g.constant(1e-5))))


def scaled_norm(g, length=1000):
    """The length of each row, whose squares leave the range of floats."""
    large = lambda s: g.random.standard_normal(s) * np.geomspace(1e-30, 1e30, 2)[:, None, None]
    x = g.input("x", 2, g.dim("p", 37), length, make=large)
    top = g.node("ReduceMax", g.node("Abs", x), g.ints(-1))
    scaled = g.node("Div", x, top)
    squares = g.node("ReduceSum", g.node("Mul", scaled, scaled), g.ints(-1))
    g.output(squares, g.node("Mul", top, g.node("Sqrt", squares)))


def rms_norm_gemm(g):
    x = rows(g)
    square = g.node("ReduceMean", g.node("Mul", x, x), g.ints(-1))
    root = g.node("Sqrt", g.node("Add", square, g.constant(1e-5)))
    scaled = g.node("Mul", g.node("Div", x, root), g.constant(np.linspace(0.5, 2, 389)))
    weight = np.random.default_rng(4).standard_normal((389, 40))
    g.output(g.node("MatMul", scaled, g.constant(weight)))


def log_sum_exp(g):
    x, axis = rows(g), g.ints(-1)
    top = g.node("ReduceMax", x, axis)
    total = g.node("ReduceSum", g.node("Exp", g.node("Sub", x, top)), axis)
    g.output(g.node("Add", g.node("Log", total), top))


def cross_entropy(g):
    """Of rows of logits, whose classes are numbers in another input."""
    p = g.dim("p", 37)
    x = g.input("x", p, 389)
    labels = g.input("labels", p, dtype=np.int64, make=lambda s: g.random.integers(0, 389, s))
    logs = g.node("LogSoftmax", x, axis=-1)
    picked = g.node("GatherElements", logs, g.column(labels), axis=1)
    g.output(g.node("Neg", g.node("ReduceMean", picked, g.ints(0, 1), keepdims=0)))


def routing(g):
    """A mixture's weights: softmax over experts, the best of them, and once more."""
    p = g.dim("p", 37)
    x = g.input("x", p, 64)
    weight = g.constant(np.random.default_rng(5).standard_normal((64, 16)))
    best, which = g.node("TopK", g.node("Softmax", g.node("MatMul", x, weight), axis=-1),
                         g.ints(3), outputs=2, axis=-1)  # fmt: skip
    g.output(g.node("Div", best, g.node("ReduceSum", best, g.ints(-1))), which)


def log_sum_exp_operator(g):
    g.output(g.node("ReduceLogSumExp", rows(g), g.ints(-1)))


def layer_norm_operator(g):
    scale, bias = (g.constant(np.linspace(low, 2, 389)) for low in (0.5, -1))
    g.output(g.node("LayerNormalization", rows(g), scale, bias, axis=-1))


def rms_norm_gemm_operator(g):
    scale = g.constant(np.linspace(0.5, 2, 389))
    scaled = g.node("RMSNormalization", rows(g), scale, axis=-1)
    weight = np.random.default_rng(4).standard_normal((389, 40))
    g.output(g.node("MatMul", scaled, g.constant(weight)))
