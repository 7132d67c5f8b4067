# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""MultiHeadAttention and GroupQueryAttention, beside ONNX Runtime."""

import re

import lutra
import numpy as np
import pytest
from attentions import MICROSOFT, Numbers, attends, close, given, onnx_runtime

PRESENT = ["y", "present_key", "present_value"]


def int32(*numbers):
    return np.array(numbers, np.int32)


def multi(queries=3, keys=5, heads=2, depth=8, width=12, batch=2, **changes):
    """Inputs of MultiHeadAttention in its order."""
    draw = Numbers(queries * 100 + keys)
    arrays = dict.fromkeys(
        ["query", "key", "value", "bias", "padding", "score_bias", "past_key",
         "past_value", "past_length", "indirection"]
    )  # fmt: skip
    return arrays | {
        "query": draw(batch, queries, heads * depth),
        "key": draw(batch, keys, heads * depth),
        "value": draw(batch, keys, heads * width),
    } | changes  # fmt: skip


def trimmed(arrays):
    """Less the optional inputs at the end."""
    arrays = dict(arrays)
    for name in reversed(list(arrays)):
        if arrays[name] is not None:
            break
        del arrays[name]
    return arrays


def model(op, arrays, outputs, shapes=None, **attributes):
    return attends(
        op, trimmed(arrays), outputs, MICROSOFT, shapes=shapes, opset=21, **attributes
    )


draw = Numbers(3)
MULTI = {
    "plain": (multi(), {}, ["y"]),
    "one key": (multi(keys=1), {"scale": 0.7}, ["y"]),
    "bias": (multi(bias=draw(16 + 16 + 24)), {}, PRESENT),
    "lengths": (multi(padding=int32(2, 5)), {"mask_filter_value": -3.0}, ["y"]),
    "lengths and starts": (multi(padding=int32(2, 5, 0, 3, 6, 0, 5, 10)), {}, ["y"]),
    "padding": (multi(padding=int32([1, 1, 0, 1, 0], [1, 0, 0, 0, 0])), {}, ["y"]),
    "padding of pairs": (
        multi(padding=draw.bools(2, 3, 5).astype(np.int32)), {}, ["y"]
    ),
    "bias of scores": (multi(3, 3, score_bias=draw(1, 2, 3, 3)), {"unidirectional": 1}, ["y"]),
    "bias of all heads": (multi(score_bias=draw(2, 1, 3, 5)), {}, ["y"]),
    "cache": (
        multi(3, 3, width=8, past_key=draw(2, 2, 4, 8), past_value=draw(2, 2, 4, 8),
              padding=int32([1] * 7, [0, 0, 1, 1, 1, 1, 1])),
        {"unidirectional": 1}, PRESENT,
    ),
    "keys of another model": (
        multi(key=draw(2, 2, 5, 8), value=draw(2, 2, 5, 8), bias=draw(48)), {}, ["y"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MULTI)
def test_multi_head(name):
    arrays, attributes, outputs = MULTI[name]
    proto = model("MultiHeadAttention", arrays, outputs, num_heads=2, **attributes)
    close(lutra.compile(proto)(given(arrays)), onnx_runtime(proto, arrays))


@pytest.mark.parametrize(("parts", "bias"), [(2, None), (3, None), (3, draw(48))])
def test_packed(parts, bias):
    """Two or three tensors in one, beside the same apart."""
    packed = Numbers(parts)(2, 5, 2, parts, 8)
    apart = [np.ascontiguousarray(packed[:, :, :, i]).reshape(2, 5, 16) for i in range(parts)]
    names = ["query", "key", "value"][3 - parts :]
    arrays = multi(5, width=8, bias=bias, **dict(zip(names, apart, strict=True)))
    expected = onnx_runtime(
        model("MultiHeadAttention", arrays, PRESENT, num_heads=2), arrays
    )
    arrays |= dict.fromkeys(names) | {names[0]: packed}
    proto = model("MultiHeadAttention", arrays, PRESENT, num_heads=2)
    close(lutra.compile(proto)(given(arrays)), expected)


def test_multi_head_of_sizes_that_are_not_known():
    def at(batch, queries, past):
        size = (batch, 2, past, 8)
        more = {"past_key": draw(*size), "past_value": draw(*size)}
        mask = draw.bools(batch, past + queries).astype(np.int32)
        return multi(queries, queries, width=8, batch=batch, padding=mask, **more)

    shapes = {name: ["b", "s", 16] for name in ("query", "key", "value")}
    shapes |= {name: ["b", 2, "p", 8] for name in ("past_key", "past_value")}
    shapes["padding"] = ["b", "total"]

    def proto(arrays, shapes=None):
        return model("MultiHeadAttention", arrays, PRESENT, shapes, num_heads=2)

    compiled = lutra.compile(proto(at(2, 3, 4), shapes), dim={"p": (0, None)})
    for sizes in [(1, 1, 0), (2, 3, 4), (3, 1, 40), (1, 35, 2)]:
        arrays = at(*sizes)
        close(compiled(given(arrays)), onnx_runtime(proto(arrays), arrays))


def group(
    batch=1, queries=3, past=4, total=None, lengths=None, heads=4, groups=2, depth=16,
    packed=False, **changes,
):  # fmt: skip
    """Inputs of GroupQueryAttention in its order."""
    draw = Numbers(queries * 100 + (past or 0))
    total = total or (past or 0) + queries
    arrays = dict.fromkeys(
        ["query", "key", "value", "past_key", "past_value", "lengths", "total", "cos",
         "sin", "positions", "score_bias", "sink", "key_scale", "value_scale"]
    )  # fmt: skip
    arrays["query"] = draw(batch, queries, (heads + packed * 2 * groups) * depth)
    if not packed:
        arrays["key"] = draw(batch, queries, groups * depth)
        arrays["value"] = draw(batch, queries, groups * depth)
    if past is not None:
        arrays["past_key"] = draw(batch, groups, past, depth)
        arrays["past_value"] = draw(batch, groups, past, depth)
    arrays["lengths"] = int32(*(lengths or [total - 1] * batch))
    arrays["total"] = int32(total)
    return arrays | changes


def angles(pairs=8):
    turns = np.arange(32)[:, None] / 100 ** (np.arange(pairs) / pairs)
    return {"cos": np.cos(turns).astype("f"), "sin": np.sin(turns).astype("f")}


ROTARY = {"do_rotary": 1}
GROUP = {
    "prompt": (group(past=None), {}),
    "prompt of two": (group(2, past=None), {"softcap": 2.0}),
    "step": (group(queries=1), {"scale": 0.2}),
    "continuation": (group(), {"local_window_size": 3}),
    "own lengths": (group(2, 1, 5, lengths=[5, 3]), {}),
    "own lengths in a buffer": (group(2, 1, 9, 6, lengths=[5, 2]), ROTARY, angles()),
    "prompt into a buffer": (group(2, 4, 9, 4), {"local_window_size": 2}),
    "not causal": (group(2, 1, 5, lengths=[5, 3]), {"causal": 0}),
    "8 heads share": (group(heads=8, groups=1, packed=True), {}),
    "4 heads share": (group(queries=1, past=37, groups=1), {}),
    "nothing shared": (group(heads=3, groups=3), {"smooth_softmax": 1}),
    "rotary": (group(queries=1), ROTARY, angles()),
    "rotary, interleaved": (
        group(packed=True), ROTARY | {"rotary_interleaved": 1}, angles()
    ),
    "rotary in part": (group(depth=32), ROTARY, angles()),
    "rotary at positions": (
        group(2, 1, 5, positions=np.array([[3], [9]])), ROTARY, angles()
    ),
    "sink": (group(sink=Numbers(5)(4)), {}),
    "bias of scores": (group(score_bias=Numbers(6)(1, 4, 3, 7)), {"softcap": 3.0}),
}  # fmt: skip


HEADS = {"8 heads share": (8, 1), "4 heads share": (4, 1), "nothing shared": (3, 3)}


@pytest.mark.parametrize("name", GROUP)
def test_group_query(name):
    arrays, attributes, *more = GROUP[name]
    for changes in more:
        arrays = arrays | changes
    heads, groups = HEADS.get(name, (4, 2))
    size = max((arrays["past_key"].shape[2] if arrays["past_key"] is not None else 0),
               int(arrays["total"][0]))  # fmt: skip
    depth = arrays["query"].shape[2] // (heads + 2 * groups * (arrays["key"] is None))
    cache = [len(arrays["query"]), groups, size, depth]
    proto = model(
        "GroupQueryAttention", arrays, PRESENT, num_heads=heads, kv_num_heads=groups,
        shapes={"present_key": cache, "present_value": cache}, **attributes,
    )  # fmt: skip
    expected = onnx_runtime(proto, arrays)
    actual = lutra.compile(proto)(given(arrays))
    # Behind a sequence nothing says what a cache holds.
    for batch, last in enumerate(arrays["lengths"]):
        for name in PRESENT[1:]:
            expected[name][batch, :, last + 1 :] = actual[name][batch, :, last + 1 :] = 0
    close(actual, expected)


def test_padded_prompts():
    """What stands behind a sequence changes nothing before it."""
    arrays = group(2, 4, None, lengths=[3, 1])
    proto = model("GroupQueryAttention", arrays, ["y"], num_heads=4, kv_num_heads=2)
    expected = onnx_runtime(
        model("GroupQueryAttention", arrays, PRESENT, num_heads=4, kv_num_heads=2), arrays
    )["y"]
    actual = lutra.compile(proto)(given(arrays))["y"]
    for batch, length in enumerate([4, 2]):
        np.testing.assert_allclose(
            actual[batch, :length], expected[batch, :length], rtol=1e-4, atol=1e-5
        )


def test_lengths_beyond_the_cache_read_nothing():
    """Lengths are data, and may be wrong."""
    arrays = group(2, 1, 5, lengths=[5, 3])
    shapes = {name: [2, 2, 6, 16] for name in PRESENT[1:]}
    proto = model(
        "GroupQueryAttention", arrays, PRESENT, num_heads=4, kv_num_heads=2, shapes=shapes
    )
    compiled = lutra.compile(proto)
    for wrong in (-(2**31), -7, 6, 2**31 - 1):
        y = compiled(given(arrays | {"lengths": int32(wrong, 3)}))["y"]
        assert np.isfinite(y).all()


def growing():
    """A model whose cache is as long as its mask says, as exporters write it."""
    from onnx import TensorProto, helper

    arrays = group(1, 1, 3)
    shapes = {
        "query": [1, "s", 64], "key": [1, "s", 32], "value": [1, "s", 32],
        "past_key": [1, 2, "p", 16], "past_value": [1, 2, "p", 16],
        "present_key": [1, 2, "p + s", 16], "present_value": [1, 2, "p + s", 16],
    }  # fmt: skip
    proto = model(
        "GroupQueryAttention", arrays, PRESENT, shapes, num_heads=4, kv_num_heads=2
    )
    graph = proto.graph
    inputs = [i for i in graph.input if i.name not in ("total", "lengths")]
    mask = helper.make_tensor_value_info("mask", TensorProto.INT64, [1, "p + s"])
    del graph.input[:]
    graph.input.extend([*inputs, mask])
    graph.initializer.append(helper.make_tensor("one", TensorProto.INT64, [1], [1]))
    nodes = [
        helper.make_node("Shape", ["mask"], ["total64"], start=1),
        helper.make_node("Cast", ["total64"], ["total"], to=TensorProto.INT32),
        helper.make_node("ReduceSum", ["mask", "one"], ["sum"], keepdims=0),
        helper.make_node("Sub", ["sum", "one"], ["last"]),
        helper.make_node("Cast", ["last"], ["lengths"], to=TensorProto.INT32),
        *graph.node,
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    return proto


def test_a_cache_that_stays():
    """Steps with a state equal those that are handed their cache."""
    proto = growing()
    states = ["past_key:present_key:max=32", "past_value:present_value:max=32"]
    stepping = lutra.compile(proto, state=states)
    draw, state = Numbers(1), stepping.state()
    caches = {name: np.zeros((1, 2, 0, 16), np.float32) for name in ("past_key", "past_value")}
    for length in (5, 1, 1, 9):
        arrays = {
            "query": draw(1, length, 64), "key": draw(1, length, 32),
            "value": draw(1, length, 32),
            "mask": np.ones((1, state.length + length), np.int64),
        }  # fmt: skip
        expected = onnx_runtime(proto, arrays | caches)
        actual = stepping(arrays, state=state)["y"]
        np.testing.assert_allclose(actual, expected["y"], rtol=1e-4, atol=1e-5)
        caches = {name: expected[name.replace("past", "present")] for name in caches}


REFUSED = {
    "past_sequence_length and cache_indirection": (
        multi(past_key=draw(2, 2, 4, 8), past_value=draw(2, 2, 4, 12),
              past_length=int32(4)), {}),
    "expected query of rank 5, got rank 3": (multi(key=None, value=None), {}),
    "expected value with a key of rank 3": (multi(value=None), {}),
    r"expected key_padding_mask of shape \[2\], got \[3\]": (
        multi(padding=int32(1, 2, 3)), {}),
    "expected the last dimension of query to be a multiple of 3 heads": (
        multi(), {"num_heads": 3}),
    "expected num_heads of 1 or more, got 0": (multi(), {"num_heads": 0}),
    "expected a k_quant_type of NONE, got PER_TENSOR: caches of integers": (
        group(), {"k_quant_type": "PER_TENSOR"}),
    "expected the number of heads to be a multiple": (group(), {"kv_num_heads": 3}),
    "expected cos_cache and sin_cache with do_rotary": (group(), ROTARY),
    "expected a cos_cache of at most half as many angles": (
        group(**angles(16)), ROTARY),
    "sliding_window_cache not implemented": (group(), {"sliding_window_cache": 1}),
    "expected key and value together, got only key": (group(value=None), {}),
    r"expected seqlens_k of shape \[1\], got \[2\]": (group(lengths=[1, 2]), {}),
    r"expected past_value of shape \[1, 2, 4, 16\], got \[1, 2, 5, 16\]": (
        group(past_value=draw(1, 2, 5, 16)), {}),
    "expected total_sequence_length .* got an input of the model": (group(), {}),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_refusals(message):
    arrays, attributes = REFUSED[message]
    if "total" in arrays:
        op, heads = "GroupQueryAttention", {"num_heads": 4, "kv_num_heads": 2}
    else:
        op, heads = "MultiHeadAttention", {"num_heads": 2}
    proto = model(op, arrays, PRESENT, **heads | attributes)
    reasons = [refusal.reason for refusal in lutra.check(proto)]
    assert len(reasons) == 1 and re.search(message, reasons[0]), reasons
    with pytest.raises(lutra.CompileError, match=f"'the_{op}'.*{message}"):
        lutra.compile(proto)
