# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Families of operators: each function draws a node of its family into a graph
and returns what the node computes, of a tensor of the graph or of a new input.

Sizes are drawn so that a tensor has more elements than one task's share, and
tails in every dimension.
"""

import math

import numpy as np
from differential import BOOL, F32, F64, I8, I32, I64, MAX_ELEMENTS, U8

SMOOTH = ["Abs", "Erf", "HardSigmoid", "LeakyRelu", "Neg", "Relu", "Selu", "Sigmoid",
          "Softsign", "Tanh", "Elu", "Cos", "Atan", "Gelu", "HardSwish"]  # fmt: skip
#: What would show an error of rounding as one of a whole.
STEPS = ["Ceil", "Floor", "Round", "Sign"]
UNARY = SMOOTH + STEPS + ["Exp", "Sin", "Softplus", "Mish"]
REDUCTIONS = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1",
              "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "ReduceProd"]  # fmt: skip


def spatial(graph, rank):
    """Spatial sizes of about ten thousand elements."""
    high = {1: 3000, 2: 70, 3: 17}[rank]
    return [graph.dim(high // 2, high) for _ in range(rank)]


def window(graph, rank, pools=False):
    """Attributes of a window: small, so that it fits into what spatial draws."""
    kernel = [graph.size(1, 4) for _ in range(rank)]
    attributes = {"kernel_shape": kernel}
    if graph.chance(0.6):
        attributes["strides"] = [graph.size(1, 3) for _ in range(rank)]
    # A window that lies in padding alone has no maximum and no average.
    if not (pools and graph.symbolic) and graph.chance(0.4):
        attributes["dilations"] = [graph.size(1, 2) for _ in range(rank)]
    dilations = attributes.get("dilations", [1] * rank)
    # A window must fit where a symbolic size is one.
    least = [(k - 1) * d for k, d in zip(kernel, dilations)]
    if graph.symbolic:
        low = [(n + 1) // 2 for n in least]
        attributes["pads"] = low + [n - k for n, k in zip(least, low)]
    elif "dilations" not in attributes and graph.chance(0.3):
        attributes["auto_pad"] = graph.pick(["SAME_UPPER", "SAME_LOWER", "VALID"])
        attributes["strides"] = [graph.size(1, k) for k in kernel]
    elif graph.chance(0.6):
        limit = [k - 1 for k in kernel]
        attributes["pads"] = [graph.size(0, n) for n in limit + limit]
    return attributes


def conv(graph):
    rank = graph.pick([1, 2, 2, 2, 3])
    groups = graph.pick([1, 1, 2, 3, 5, 8])
    per_group, factor = graph.pick([(1, 1), (1, 2), (3, 4), (8, 8), (5, 7), (16, 17)])
    if groups * per_group > 40:
        groups = 2
    x = graph.input([graph.dim(1, 3), groups * per_group, *spatial(graph, rank)])
    attributes = window(graph, rank)
    outputs = groups * factor
    weights = graph.operand([outputs, per_group, *attributes["kernel_shape"]])
    bias = [graph.operand([outputs])] if graph.chance(0.5) else []
    return graph.node("Conv", x, weights, *bias, group=groups, **attributes)


def matmul(graph):
    m, k, n = (graph.dim(1, graph.pick([3, 17, 64, 131, 300, 601])) for _ in range(3))
    batches = graph.pick([[], [], [graph.dim(2, 5)], [graph.dim(1, 4), graph.dim(2, 5)]])
    left, right = list(batches), list(batches)
    for side in (left, right):
        if side and graph.chance(0.4):
            side[graph.size(0, len(side) - 1)] = 1
        if side and graph.chance(0.3):
            side.clear()
    dtype = graph.pick([F32] * 6 + [F64, I32])
    a = [k] if graph.chance(0.1) else [*left, m, k]
    b = [k] if graph.chance(0.1) else [*right, k, n]
    return graph.node("MatMul", graph.operand(a, dtype), graph.operand(b, dtype))


def gemm(graph):
    m, k, n = (graph.dim(1, graph.pick([3, 17, 64, 131, 300, 601])) for _ in range(3))
    dtype = graph.pick([F32] * 4 + [F64])
    attributes = {"transA": graph.size(0, 1), "transB": graph.size(0, 1)}
    if graph.chance(0.4):
        attributes["alpha"] = 0.5
    if graph.chance(0.4):
        attributes["beta"] = -1.5
    a = graph.operand([k, m] if attributes["transA"] else [m, k], dtype)
    b = graph.operand([n, k] if attributes["transB"] else [k, n], dtype)
    bias = graph.pick([None, [], [1], [n], [1, n], [m, 1], [m, n], [1, 1]])
    c = [] if bias is None else [graph.operand(bias, dtype)]
    return graph.node("Gemm", a, b, *c, **attributes)


def pool(graph):
    rank = graph.pick([1, 2, 2, 3])
    x = graph.input([graph.dim(1, 3), graph.dim(3, 9), *spatial(graph, rank)])
    op = graph.pick(["MaxPool", "AveragePool", "LpPool", "Global"])
    if op == "Global":
        return graph.node(graph.pick(["GlobalMaxPool", "GlobalAveragePool"]), x)
    attributes = window(graph, rank, pools=True)
    if op == "AveragePool" and graph.chance(0.5):
        attributes["count_include_pad"] = 1
    if op == "LpPool":
        attributes["p"] = graph.pick([1, 2, 3])
    if "auto_pad" not in attributes and graph.chance(0.4):
        attributes["ceil_mode"] = 1
    return graph.node(op, x, **attributes)


def block(graph, dtype=F32, low=1, high=5, limit=MAX_ELEMENTS // 8):
    """An input of some rank and up to `limit` elements."""
    rank, limit = graph.size(low, high), limit * graph.pick([1, 1, 1, 4])
    side = int(limit ** (1 / rank))
    shape = []
    for _ in range(rank):
        size = graph.pick([1, 2, 3, 7, 16, 31, 67, side, 2 * side])
        shape.append(graph.dim(1, size) if size == 1 else graph.dim(size, size + 3))
        highs = [graph.dims[s][1] if isinstance(s, str) else s for s in shape]
        side = int(max(1, limit / math.prod(highs)) ** (1 / max(1, rank - len(shape))))
        side = max(1, side)
        if math.prod(highs) > limit:
            shape[-1] = 1
    graph.random.shuffle(shape)
    return graph.input(list(shape), dtype)


def axis(graph, rank):
    return graph.size(-rank, rank - 1)


def softmax(graph, x=None):
    x = x or block(graph)
    op = graph.pick(["Softmax", "LogSoftmax", "Hardmax", "LpNormalization"])
    return graph.node(op, x, axis=axis(graph, len(graph.shape(x))))


def normalization(graph):
    op = graph.pick(["BatchNormalization", "LayerNormalization",
                     "InstanceNormalization", "GroupNormalization", "LRN"])  # fmt: skip
    if op == "LayerNormalization":
        x = block(graph, high=4)
        shape = graph.shape(x)
        at = axis(graph, len(shape))
        scale = graph.operand(shape[at:])
        bias = [graph.operand(shape[at:])] if graph.chance(0.7) else []
        return graph.node(op, x, scale, *bias, axis=at)
    rank = 2 if op == "LRN" else graph.pick([1, 2, 3])
    channels = graph.pick([6, 12, 30])
    # The last size is known: a variance of one or two numbers has no digits.
    sizes = [*spatial(graph, rank)[:-1], graph.size(9, {1: 3000, 2: 70, 3: 17}[rank])]
    x = graph.input([graph.dim(1, 3), channels, *sizes])
    if op == "LRN":
        return graph.node(op, x, size=graph.pick([1, 3, 5]), alpha=0.01)
    scale, bias = graph.operand([channels]), graph.operand([channels])
    if op == "InstanceNormalization":
        return graph.node(op, x, scale, bias)
    if op == "GroupNormalization":
        groups = graph.pick([1, 2, 3, 6])
        if graph.chance(0.3):
            x = graph.input([graph.dim(1, 700), channels, *[graph.size(3, 9)] * rank])
        return graph.like(x, graph.node(op, x, scale, bias, num_groups=groups))
    variance = graph.constant(graph.random.random(channels) + 0.5, F32)
    return graph.node(op, x, scale, bias, graph.operand([channels]), variance)


def reduction(graph, x=None):
    x = x or block(graph, graph.pick([F32] * 5 + [F64, I32]))
    dtype, rank = graph.dtype(x), len(graph.shape(x))
    if dtype == F32 and graph.chance(0.2):
        return graph.node(graph.pick(["ArgMax", "ArgMin"]), x, axis=axis(graph, rank),
                          keepdims=graph.size(0, 1), select_last_index=graph.size(0, 1))  # fmt: skip
    op = graph.pick(REDUCTIONS if dtype == F32 else ["ReduceSum", "ReduceMax"])
    if op in ("ReduceSum", "ReduceMean"):
        x = graph.node("Abs", x)  # A sum near zero has no digits to compare.
    count = graph.size(0, rank)
    axes = [int(i) for i in graph.random.permutation(rank)[:count]]
    operands = [graph.constant(axes, I64)] if axes else []
    return graph.node(op, x, *operands, keepdims=graph.size(0, 1))


def like(graph, x):
    """A tensor that broadcasts against `x` to the shape of `x`."""
    shape = [1 if size is None or graph.chance(0.4) else size for size in graph.shape(x)]
    shape = shape[graph.size(0, len(shape)) :] if graph.chance(0.4) else shape
    return graph.operand(shape, graph.dtype(x))


def elementwise(graph, x=None):
    ops = SMOOTH if x else UNARY
    x = x or block(graph, graph.pick([F32] * 4 + [F64, I32]))
    if graph.dtype(x).kind == "f":
        if graph.chance(0.5):
            ops = ops if graph.dtype(x) == F32 else ["Abs", "Relu", "Sigmoid", "Tanh"]
            return graph.node(graph.pick(ops), x)
    elif graph.dtype(x) == BOOL:
        return graph.node("Not", x)
    elif graph.dtype(x) not in (I32, I64):
        return graph.node("Cast", x, to=1)
    op = graph.pick(["Add", "Sub", "Mul", "Max", "Min"])
    return graph.node(op, x, like(graph, x))


def broadcast(graph):
    """Operands that all lack some dimension of the result."""
    x = block(graph, high=4)
    y = elementwise(graph, elementwise(graph, x))
    return graph.node("Where", graph.node("Greater", like(graph, x), y), like(graph, y), y)


def cast(graph):
    from_, to = graph.pick([F32, F64, I32, I64, I8, U8, BOOL]), graph.pick([1, 2, 3, 6, 7, 9, 11])
    x = block(graph, from_)
    if to == 2:
        x = graph.node("Abs", x) if from_ != BOOL else x
    return graph.node("Cast", x, to=to)


def transpose(graph, x=None):
    x = x or block(graph, graph.pick([F32, F32, I8, F64, BOOL]))
    rank = len(graph.shape(x))
    return graph.node("Transpose", x, perm=[int(i) for i in graph.random.permutation(rank)])


def concat(graph, x=None):
    x = x or block(graph, limit=MAX_ELEMENTS // 32)
    shape = graph.shape(x)
    at = axis(graph, len(shape))
    parts = [x]
    for _ in range(graph.size(1, 4)):
        part = list(shape)
        part[at] = graph.dim(1, 40)
        if None not in part:
            parts.insert(graph.size(0, 1), graph.operand(part, graph.dtype(x)))
    if graph.chance(0.3):
        parts.append(x)
    return graph.node("Concat", *parts, axis=at)


def slice_(graph, x=None):
    x = x or block(graph)
    starts, ends, axes, steps = [], [], [], []
    for at, size in enumerate(graph.shape(x)):
        if not isinstance(size, int) or size == 0 or graph.chance(0.3):
            continue
        step = graph.pick([1, 1, 2, 3, -1, -2])
        start, end = graph.size(0, size - 1), graph.size(0, size)
        if graph.chance(0.7):
            start, end = (size // 5, size) if step > 0 else (size - 1, -size - 1)
        starts.append(start), ends.append(end), axes.append(at), steps.append(step)
    if not axes:
        return graph.node("Identity", x)
    operands = [graph.constant(values, I64) for values in (starts, ends, axes, steps)]
    return graph.node("Slice", x, *operands)


def pad(graph, x=None):
    x = x or block(graph, graph.pick([F32, F32, F64, I32]), limit=MAX_ELEMENTS // 16)
    mode = graph.pick(["constant", "reflect", "edge", "wrap"])
    pads = []
    for size in graph.shape(x) * 2:
        limit = max(0, size - 1) if isinstance(size, int) else 0
        if mode == "constant" or (mode == "edge" and size != 0):
            limit = 5
        pads.append(graph.size(0, min(limit, 5)))
        if mode == "constant" and isinstance(size, int) and size > 9 and graph.chance(0.2):
            pads[-1] = -graph.size(0, 4)
    operands = [graph.constant(pads, I64)]
    if mode == "constant" and graph.chance(0.5):
        operands.append(graph.constant(7, graph.dtype(x)))
    return graph.node("Pad", x, *operands, mode=mode)


def gather(graph, x=None):
    x = x or block(graph, high=4, limit=MAX_ELEMENTS // 16)
    shape = graph.shape(x)
    at = axis(graph, len(shape))
    limit = shape[at] if isinstance(shape[at], int) else 1
    if limit == 0:
        return graph.node("Identity", x)
    indices = graph.random.integers(-limit, limit, [graph.size(1, 9) for _ in range(graph.size(0, 2))])
    return graph.node("Gather", x, graph.constant(indices, I64), axis=at)


def repeat(graph, x=None):
    x = x or block(graph, high=4, limit=MAX_ELEMENTS // 32)
    shape = graph.shape(x)
    if graph.chance(0.5):
        return graph.node("Tile", x, graph.constant([graph.size(1, 3) for _ in shape], I64))
    target = [graph.size(2, 5) if size == 1 else 1 for size in shape]
    return graph.node("Expand", x, graph.constant([graph.size(1, 3)] + target, I64))


def scan(graph, x=None):
    x = x or block(graph, graph.pick([F32, F32, I32]), limit=MAX_ELEMENTS // 16)
    at = axis(graph, len(graph.shape(x)))
    size = graph.shape(x)[at]
    largest = graph.dims[size][1] if isinstance(size, str) else size
    if largest is None or largest > 4096:
        return graph.node("Identity", x)
    return graph.node("CumSum", x, graph.constant(at, I64),
                      exclusive=graph.size(0, 1), reverse=graph.size(0, 1))  # fmt: skip


def rearrange(graph):
    op = graph.pick(["OneHot", "DepthToSpace", "SpaceToDepth", "Trilu", "Split", "Reshape"])
    if op == "OneHot":
        x = block(graph, I64, high=3, limit=MAX_ELEMENTS // 32)
        depth, values = graph.constant(graph.size(5, 17), I64), graph.constant([-1, 2], F32)
        return graph.node(op, x, depth, values, axis=axis(graph, len(graph.shape(x)) + 1))
    if op == "Trilu":
        x = block(graph, low=2)
        return graph.node(op, x, graph.constant(graph.size(-9, 9), I64), upper=graph.size(0, 1))
    n = graph.pick([2, 3])
    h, w = graph.size(9, 33), graph.size(9, 33)
    x = graph.input([graph.dim(1, 3), 4 * n * n, h * n, w * n])
    if op == "Split":
        parts = graph.node(op, x, outputs=n, axis=graph.pick([1, 2, 3]), num_outputs=n)
        return graph.node("Mul", parts[0], parts[-1])
    if op == "Reshape":
        y = graph.node(op, x, graph.constant([0, n * n, 4, -1], I64))
        return graph.node("Transpose", y, perm=[0, 2, 1, 3])
    extra = {"mode": graph.pick(["DCR", "CRD"])} if op == "DepthToSpace" else {}
    return graph.node(op, x, blocksize=n, **extra)


def integer(graph):
    x = block(graph, graph.pick([I8, U8, I32, I64]))
    shape, dtype = graph.shape(x), graph.dtype(x)
    op = graph.pick(["Mod", "Div", "BitwiseAnd", "BitwiseXor", "BitwiseNot", "BitShift",
                     "Max", "Clip", "Equal", "Abs", "Neg", "Sign"])  # fmt: skip
    if op in ("Abs", "Neg", "Sign", "BitwiseNot"):
        return graph.node(op if dtype != U8 else "BitwiseNot", x)
    if op == "Clip":
        return graph.node(op, x, graph.constant(2, dtype), graph.constant(5, dtype))
    if op in ("Mod", "Div", "BitShift"):
        if op == "BitShift":
            x, dtype = graph.node("Cast", graph.node("Abs", x), to=2), U8
        size = shape[-1] if isinstance(shape[-1], int) else 1
        y = graph.constant(graph.random.integers(1, 7, [size]), dtype)
        extra = {"direction": graph.pick(["LEFT", "RIGHT"])} if op == "BitShift" else {}
        return graph.node(op, x, y, **extra)
    if op in ("Max", "Equal") and dtype == U8:
        x = graph.node("Cast", x, to=6)
    return graph.node(op, x, like(graph, x))


def select(graph):
    """Indices that are data."""
    op = graph.pick(["GatherElements", "GatherND", "Gather"])
    shape = [graph.size(3, n) for n in (9, 67, 70)]
    x = graph.input(shape, graph.pick([F32, F64, I8]))
    if op == "GatherND":
        last = graph.pick([1, 2, 3])
        indices = [graph.random.integers(-n, n, [53, 11]) for n in shape[:last]]
        return graph.node(op, x, graph.constant(np.stack(indices, -1), I64))
    at = graph.size(0, 2)
    limit = shape[at]
    # Every remainder by the limit is an index.
    if op == "GatherElements":
        shape[at] = graph.size(1, 90)
        picks = graph.input(shape, I64)
    else:
        picks = graph.input([graph.dim(1, 90), graph.dim(1, 5)], I64)
    picks = graph.node("Mod", graph.node("Mul", picks, graph.constant(7, I64)),
                       graph.constant(limit, I64))  # fmt: skip
    return graph.node(op, x, picks, axis=at)


def variadic(graph):
    x = block(graph)
    parts = [x] + [like(graph, x) for _ in range(graph.size(1, 4))]
    op = graph.pick(["Sum", "Mean", "Max", "Min", "PRelu", "Pow", "Clip", "Where"])
    if op == "PRelu":
        return graph.node(op, x, like(graph, x))
    if op == "Pow":
        return graph.node(op, graph.node("Abs", x), graph.constant(graph.pick([2.0, 0.5, 3.0]), F32))
    if op == "Clip":
        return graph.node(op, x, graph.constant(-0.5, F32), graph.constant(0.75, F32))
    if op == "Where":
        shape = [size if isinstance(size, int) else 1 for size in graph.shape(x)]
        return graph.node(op, graph.operand(shape, BOOL), *parts[:2])
    return graph.node(op, *parts)


FAMILIES = [conv, matmul, gemm, pool, softmax, normalization, reduction, elementwise,
            broadcast, cast, transpose, concat, slice_, pad, gather, repeat, scan,
            rearrange, integer, select, variadic]  # fmt: skip


def draw(graph, family):
    """A node of a family, often between elementwise ones that may fuse with it."""
    y = family(graph)
    for _ in range(graph.pick([0, 0, 1, 2])):
        y = elementwise(graph, y)
    graph.output(y)
    return graph
