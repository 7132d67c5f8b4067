# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random graphs of operators that fuse, share operands and outlive each other.

What a graph returns is drawn from all that it has computed and read, so that
inputs and weights are returned as they are, tensors are read after they are
returned, and some results are never read.
"""

import math

import families
from differential import F32, F64, I64

MAX_ELEMENTS = 1 << 17


def elements(graph, x):
    """How many elements `x` has at most; many where ONNX does not know."""
    sizes = [graph.dims[s][1] if isinstance(s, str) else s for s in graph.shape(x)]
    return math.inf if None in sizes else math.prod(sizes)


def product(graph, x):
    depth = graph.shape(x)[-1] if graph.shape(x) else None
    if not isinstance(depth, int) or depth > 600 or depth == 0:
        return graph.node("Neg", x)
    columns = graph.pick([1, 5, 16, 33])
    y = graph.node("MatMul", x, graph.operand([depth, columns], graph.dtype(x)))
    return graph.node("Tanh", y)


def convolution(graph, x):
    shape = graph.shape(x)
    if 0 in shape or not 3 <= len(shape) <= 4 or not isinstance(shape[1], int) or not 0 < shape[1] < 70:
        return graph.node("Abs", x)
    kernel = [graph.pick([1, 3]) for _ in shape[2:]]
    pads = [size // 2 for size in kernel] * 2
    group = shape[1] if graph.chance(0.4) else 1
    weights = graph.operand([shape[1], shape[1] // group, *kernel], graph.dtype(x))
    return graph.node("Tanh", graph.node("Conv", x, weights, pads=pads, group=group))


def pooling(graph, x):
    rank = len(graph.shape(x)) - 2
    if not 1 <= rank <= 3 or 0 in graph.shape(x):
        return graph.node("Sigmoid", x)
    op = graph.pick(["MaxPool", "AveragePool"])
    return graph.node(op, x, kernel_shape=[3] * rank, pads=[1] * 2 * rank,
                      strides=[graph.pick([1, 2]) for _ in range(rank)])  # fmt: skip


def centered(graph, x):
    """`x` less a reduction of itself: two readers, one of them a reduction."""
    rank = len(graph.shape(x))
    axes = [int(i) for i in graph.random.permutation(rank)[: graph.size(1, max(rank, 1))]]
    op = graph.pick(["ReduceMean", "ReduceMax", "ReduceMin"])
    operands = [graph.constant(axes, I64)] if axes else []
    reduced = graph.node(op, x, *operands, keepdims=1)
    return graph.node(graph.pick(["Sub", "Add"]), x, reduced)


def halves(graph, x):
    at = [i for i, size in enumerate(graph.shape(x)) if isinstance(size, int) and size > 1]
    if not at:
        return graph.node("Identity", x)
    parts = graph.node("Split", x, outputs=2, axis=graph.pick(at), num_outputs=2)
    return graph.pick(parts)


def reshaped(graph, x):
    rank = len(graph.shape(x))
    if rank and graph.chance(0.5):
        return graph.node("Flatten", x, axis=graph.size(0, rank))
    return graph.node("Unsqueeze", x, graph.constant([graph.size(0, rank)], I64))


def widened(graph, x):
    return graph.node("Cast", x, to=11 if graph.dtype(x) == F32 else 1)


def pair(graph, x, pool):
    """A sum of tensors that are read elsewhere as well."""
    shape = graph.shape(x)
    same = [y for y in pool if graph.shape(y) == shape and graph.dtype(y) == graph.dtype(x)]
    same = same if None not in shape else [x]
    return graph.node(graph.pick(["Add", "Mul", "Sub"]), x, graph.pick(same))


GROWING = [families.concat, families.pad, families.repeat, families.gather]
STEPS = [families.elementwise] * 4 + [families.transpose, families.slice_, families.scan,
         product, convolution, pooling, centered, centered, halves, reshaped,
         widened]  # fmt: skip


def step(graph, pool):
    x = graph.pick(pool[-4:] if graph.chance(0.7) else pool)
    if graph.chance(0.25):
        return pair(graph, x, pool)
    if not graph.shape(x):
        return families.elementwise(graph, x)
    growing = GROWING if elements(graph, x) < MAX_ELEMENTS // 8 else []
    op = graph.pick(STEPS + growing)
    if op in (product, convolution, pooling) and graph.dtype(x) == F64:
        x = widened(graph, x)
    return op(graph, x)


def source(graph):
    if graph.chance(0.1):
        return graph.input([])
    if graph.chance(0.05):
        return graph.input([graph.dim(1, 9), 0, 3])
    return families.block(graph, F32, limit=MAX_ELEMENTS // 2)


def draw(graph):
    pool = [source(graph) for _ in range(graph.size(1, 3))]
    for _ in range(graph.size(3, 10)):
        pool.append(step(graph, pool))
    chosen = {pool[-1], *(graph.pick(pool) for _ in range(graph.size(0, 3)))}
    graph.output(*(x for x in dict.fromkeys(pool) if x in chosen))
    if graph.chance(0.2):
        graph.output(graph.node("Identity", graph.pick(graph.outputs)))
    return graph
