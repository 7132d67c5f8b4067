# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One attention as a model: spelled out, and as the operators that name it.

Q is [1, heads, queries, depth], K and V are [1, heads / group, keys, depth]. Where
it is causal, the last query sees all keys.
"""

import math

import numpy as np
from graph import Graph
from onnx import TensorProto, helper

ONNX_TYPES = {"f32": TensorProto.FLOAT, "bf16": TensorProto.BFLOAT16}
MICROSOFT = "com.microsoft"


def make_model(nodes, inputs, outputs, opset, weights=()):
    """`inputs` and `outputs` are {name: (type, shape)}."""
    values = [
        [helper.make_tensor_value_info(name, *described) for name, described in side.items()]
        for side in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "attention", *values, list(weights))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def tensors(case, dynamic):
    """The inputs and outputs that all forms for the compiler have."""
    queries = "queries" if dynamic else case.queries
    keys = "keys" if dynamic else case.keys
    kind = ONNX_TYPES[case.type]
    cache = kind, [1, case.heads // case.group, keys, case.depth]
    query = kind, [1, case.heads, queries, case.depth]
    return {"q": query, "k": cache, "v": cache}, {"y": query}


def repeat_heads(graph, x, case, name):
    """As `repeat_kv` is exported: what a group of heads shares, once for each."""
    if case.group == 1:
        return x
    keys = graph.size(x, 2, name)
    x = graph.add("Unsqueeze", [x, graph.index(2)], f"{name}/Unsqueeze_1")
    few = map(graph.index, (1, case.heads // case.group, case.group))
    each = graph.add("Concat", [*few, keys, graph.index(case.depth)], f"{name}/each", axis=0)
    x = graph.add("Expand", [x, each], f"{name}/Expand")
    joined = [graph.index(1), graph.index(case.heads), keys, graph.index(case.depth)]
    joined = graph.add("Concat", joined, f"{name}/joined", axis=0)
    return graph.add("Reshape", [x, joined], f"{name}/Reshape")


def causal_mask(graph):
    """0 where a key may be seen and -inf where not, from the sizes."""
    zero = graph.constant("zero", np.int64(0))
    one = graph.constant("one", np.int64(1))

    def count(x, name):
        return graph.add("Squeeze", [graph.size(x, 2, name), graph.index(0)], f"{name}/Squeeze")

    queries, keys = count("q", "queries"), count("k", "keys")
    past = graph.add("Sub", [keys, queries], "past")
    row = graph.add("Range", [past, keys, one], "rows")
    column = graph.add("Range", [zero, keys, one], "columns")
    row = graph.add("Unsqueeze", [row, graph.index(1)], "rows/Unsqueeze")
    column = graph.add("Unsqueeze", [column, graph.index(0)], "columns/Unsqueeze")
    seen = graph.add("LessOrEqual", [column, row], "seen")
    return graph.add("Where", [seen, graph.scalar(0.0), graph.scalar(-math.inf)], "mask")


def decomposed(case, dynamic):
    """The nodes that exporters write; softmax in f32, as of most models."""
    graph = Graph()
    k, v = (repeat_heads(graph, x, case, f"repeat_{x}") for x in "kv")
    k = graph.add("Transpose", [k], "transpose", perm=[0, 1, 3, 2])
    scores = graph.add("MatMul", ["q", k], "scores")
    if case.type != "f32":
        scores = graph.add("Cast", [scores], "widen", to=TensorProto.FLOAT)
    scores = graph.add("Mul", [scores, graph.scalar(case.depth**-0.5)], "scale")
    if case.causal:
        scores = graph.add("Add", [scores, causal_mask(graph)], "masked")
    shares = graph.add("Softmax", [scores], "shares", axis=-1)
    if case.type != "f32":
        shares = graph.add("Cast", [shares], "narrow", to=ONNX_TYPES[case.type])
    graph.nodes.append(helper.make_node("MatMul", [shares, v], ["y"], name="mixed"))
    return make_model(graph.nodes, *tensors(case, dynamic), 18, graph.weights)


def operator(case, dynamic):
    """ai.onnx Attention, for which all keys are those of a cache: without one, the
    first query would see one key."""
    inputs, outputs = tensors(case, dynamic)
    names = ["q", "k", "v"]
    if case.causal and case.queries != case.keys:
        names += ["", "", "", "length"]
        inputs["length"] = TensorProto.INT64, [1]
    node = helper.make_node("Attention", names, ["y"], name="attention",
                            is_causal=int(case.causal))  # fmt: skip
    return make_model([node], inputs, outputs, 24)


FORMS = {"decomposed": decomposed, "attention": operator}


def multi_head(case):
    """ONNX Runtime's, which knows neither groups nor a past without a cache."""
    kind, width = TensorProto.FLOAT, case.heads * case.depth
    query, cache = [1, case.queries, width], [1, case.keys, width]
    node = helper.make_node("MultiHeadAttention", ["q", "k", "v"], ["y"],
                            domain=MICROSOFT, num_heads=case.heads)  # fmt: skip
    inputs = {"q": (kind, query), "k": (kind, cache), "v": (kind, cache)}
    return make_model([node], inputs, {"y": (kind, query)}, 18)


def group_query(case):
    """ONNX Runtime's on a cache, which it writes the last keys into."""
    kind, few = TensorProto.FLOAT, case.heads // case.group
    query = kind, [1, case.queries, case.heads * case.depth]
    new = kind, [1, case.queries, few * case.depth]
    cache = kind, [1, few, case.keys, case.depth]
    number = TensorProto.INT32, [1]
    node = helper.make_node(
        "GroupQueryAttention", ["q", "k", "v", "past_k", "past_v", "last", "total"],
        ["y", "present_k", "present_v"], domain=MICROSOFT, num_heads=case.heads,
        kv_num_heads=few, causal=int(case.causal),
    )  # fmt: skip
    inputs = {"q": query, "k": new, "v": new, "past_k": cache, "past_v": cache,
              "last": number, "total": number}  # fmt: skip
    outputs = {"y": query, "present_k": cache, "present_v": cache}
    return make_model([node], inputs, outputs, 18)
