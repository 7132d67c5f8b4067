# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ONNX's Attention, beside ONNX Runtime and ONNX's reference."""

import re

import lutra
import numpy as np
import pytest
from attentions import Numbers, attends, close, given, onnx_runtime
from onnx.reference import ReferenceEvaluator


def inputs(heads=4, groups=2, queries=5, keys=7, depth=24, width=40, past=None, batch=2):
    """Inputs of rank 4, in the order of the operator."""
    draw = Numbers(heads * 100 + keys)
    return {
        "Q": draw(batch, heads, queries, depth),
        "K": draw(batch, groups, keys, depth),
        "V": draw(batch, groups, keys, width),
        "mask": None,
        "past_key": None if past is None else draw(batch, groups, past, depth),
        "past_value": None if past is None else draw(batch, groups, past, width),
    }


def rows(arrays):
    """The same inputs with heads in the rows: of rank 3."""
    flat = dict(arrays)
    for name in ("Q", "K", "V"):
        x = arrays[name].transpose(0, 2, 1, 3)
        flat[name] = x.reshape(*x.shape[:2], -1)
    return flat


def cut_rows(mask, row):
    mask[..., row, :] = False if mask.dtype == bool else -np.inf
    return mask


draw = Numbers(7)
#: Inputs, attributes, and the results that are compared.
VARIANTS = {
    "one head of size one": (inputs(1, 1, 1, 1, 1, 1), {}, ["Y"]),
    "one key": (inputs(keys=1), {}, ["Y"]),
    "shared by 8": (inputs(8, 1, queries=1, keys=33, depth=64, width=64), {}, ["Y"]),
    "rows": (rows(inputs(6, 3)), {"q_num_heads": 6, "kv_num_heads": 3}, ["Y"]),
    "rows in parts": (
        rows(inputs(4, 2, queries=4, keys=3000, depth=8, width=8)),
        {"q_num_heads": 4, "kv_num_heads": 2}, ["Y"],
    ),
    "rows with cache": (
        rows(inputs(4, 4, past=3)),
        {"q_num_heads": 4, "kv_num_heads": 4, "is_causal": 1},
        ["Y", "present_key", "present_value"],
    ),
    "cache": (
        inputs(past=6, queries=3, keys=3), {"is_causal": 1, "scale": 0.3},
        ["Y", "present_key", "present_value"],
    ),
    "softcap and mask": (
        inputs() | {"mask": cut_rows(draw(2, 1, 5, 7), 2)}, {"softcap": 1.5}, ["Y"]
    ),
    "mask of heads": (inputs() | {"mask": draw(4, 5, 7)}, {"is_causal": 1}, ["Y"]),
    "bools": (
        inputs() | {"mask": cut_rows(draw.bools(2, 4, 5, 7), 1)}, {"is_causal": 1}, ["Y"]
    ),
    "all masked": (inputs() | {"mask": np.zeros((5, 7), bool)}, {}, ["Y"]),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_beside_onnx_runtime(name):
    arrays, attributes, outputs = VARIANTS[name]
    model = attends("Attention", arrays, outputs, opset=23, **attributes)
    actual = lutra.compile(model)(given(arrays))
    close(actual, onnx_runtime(model, arrays))


def test_a_row_without_keys_is_zero():
    arrays, attributes, outputs = VARIANTS["bools"]
    model = attends("Attention", arrays, outputs, opset=23, **attributes)
    y = lutra.compile(model)(given(arrays))["Y"]
    assert not y[:, :, 1].any() and y[:, :, 4].any()


REFERENCE = {
    "window": (inputs(), {"left_window_size": 2, "right_window_size": 1}, 25),
    "window behind a cache": (
        inputs(past=4, queries=3, keys=3), {"left_window_size": 3, "is_causal": 1}, 25
    ),
    "lengths": (inputs() | {"nonpad": np.array([7, 2])}, {}, 24),
    "lengths, causal": (inputs() | {"nonpad": np.array([6, 3])}, {"is_causal": 1}, 24),
    "short mask": (inputs() | {"mask": draw(5, 4)}, {}, 24),
    "short mask of bools": (inputs() | {"mask": draw.bools(1, 4)}, {}, 24),
    "softmax in double": (inputs(), {"softmax_precision": 11}, 23),
    "softmax in half": (inputs(), {"softmax_precision": 10}, 23),
}  # fmt: skip


@pytest.mark.parametrize("results", [["Y"], ["Y", "scores"]])
@pytest.mark.parametrize("name", REFERENCE)
def test_beside_the_reference(name, results):
    arrays, attributes, opset = REFERENCE[name]
    outputs = [name if name in results else "" for name in ("Y", "", "", "scores")]
    attributes = {"qk_matmul_output_mode": 3} | attributes
    model = attends("Attention", arrays, outputs, opset=opset, **attributes)
    actual = lutra.compile(model)(given(arrays))
    expected = ReferenceEvaluator(model).run(results, given(arrays))
    tolerance = 2e-3 if attributes.get("softmax_precision") == 10 else 1e-4
    close(actual, dict(zip(results, expected, strict=True)), tolerance)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats(dtype):
    arrays = {
        name: array if array is None else array.astype(dtype)
        for name, array in inputs(past=2).items()
    }
    outputs = ["Y", "present_key", "present_value"]
    model = attends("Attention", arrays, outputs, opset=23, is_causal=1)
    expected = ReferenceEvaluator(model).run(outputs, given(arrays))
    actual = lutra.compile(model)(given(arrays))
    assert actual["Y"].dtype == dtype
    tolerance = 1e-2 if dtype == "float16" else 1e-9
    close(actual, dict(zip(outputs, expected, strict=True)), tolerance)


@pytest.mark.parametrize("mask", [None, np.zeros((5, 0), bool)])
def test_no_keys(mask):
    arrays = inputs(keys=0) | {"mask": mask}
    model = attends("Attention", arrays, ["Y"], opset=23)
    y = lutra.compile(model)(given(arrays))["Y"]
    assert y.shape == (2, 4, 5, 40) and not y.any()


def test_no_queries():
    arrays = inputs(queries=0, keys=3)
    model = attends("Attention", arrays, ["Y"], opset=23, is_causal=1)
    assert lutra.compile(model)(given(arrays))["Y"].shape == (2, 4, 0, 40)


def test_nothing_is_seen_past_a_length():
    """Lengths are data, and may be wrong."""
    arrays = inputs() | {"nonpad": np.array([7, 2])}
    model = attends("Attention", arrays, ["Y"], is_causal=1)
    compiled = lutra.compile(model)
    for wrong in (-(2**63), -1, 2**40, 2**63 - 1):
        y = compiled(given(arrays | {"nonpad": np.array([wrong, 7])}))["Y"]
        assert np.isfinite(y).all()


def test_infinities_and_nan():
    """What no query sees changes nothing; what one sees does."""
    arrays = inputs(keys=5) | {"mask": np.tril(np.ones((5, 5), bool))}
    model = attends("Attention", arrays, ["Y"], opset=23)
    compiled = lutra.compile(model)
    expected = compiled(given(arrays))["Y"]
    arrays["K"][:, :, 3] = np.nan
    y = compiled(given(arrays))["Y"]
    np.testing.assert_array_equal(y[:, :, :3], expected[:, :, :3])
    assert np.isnan(y[:, :, 3:]).all()
    arrays["K"][:, :, 3] = 1e4 * arrays["Q"][:, ::2, 3]
    close({"Y": compiled(given(arrays))["Y"]}, onnx_runtime(model, arrays))


def test_sizes_that_are_not_known():
    shapes = {
        "Q": ["b", 4, "s", 24], "K": ["b", 2, "s", 24], "V": ["b", 2, "s", 40],
        "mask": ["b", 1, "s", "p + s"],
        "past_key": ["b", 2, "p", 24], "past_value": ["b", 2, "p", 40],
    }  # fmt: skip
    outputs = ["Y", "present_key", "present_value"]

    def at(batch, queries, past):
        arrays = inputs(queries=queries, keys=queries, past=past, batch=batch)
        mask = Numbers(queries).bools(batch, 1, queries, past + queries)
        return arrays | {"mask": mask}

    def model(arrays, shapes=None):
        return attends(
            "Attention", arrays, outputs, opset=23, shapes=shapes, is_causal=1
        )

    compiled = lutra.compile(model(at(2, 5, 3), shapes), dim={"p": (0, 64)})
    for sizes in [(1, 1, 0), (2, 5, 3), (3, 1, 64), (1, 37, 9)]:
        arrays = at(*sizes)
        close(compiled(given(arrays)), onnx_runtime(model(arrays), arrays))


def test_heads_are_not_repeated():
    """Keys and values are read where they are, and no row of them twice."""
    arrays = rows(inputs(8, 2))
    model = attends("Attention", arrays, ["Y"], opset=23, q_num_heads=8, kv_num_heads=2)
    ir = lutra.ir(model)
    assert "tensor.extract" not in ir
    # Two products, the scale, the exponential and the quotient, two reductions.
    assert ir.count("linalg.generic") == 7
    assert len(re.findall(r'"reduction"\]', ir)) == 4


def without(name, **changes):
    return inputs() | {name: None} | changes


REFUSED = {
    "expected the number of heads to be a multiple of that of key heads": (
        inputs(4, 3), {}, 23
    ),
    r"expected V of shape \[2, 2, 7, 40\], got \[2, 2, 6, 40\]": (
        inputs() | {"V": draw(2, 2, 6, 40)}, {}, 23
    ),
    r"expected K of shape \[2, 2, 7, 24\], got \[2, 2, 7, 23\]": (
        inputs() | {"K": draw(2, 2, 7, 23)}, {}, 23
    ),
    "expected K of rank 4, got rank 3": (inputs() | {"K": draw(2, 7, 48)}, {}, 23),
    "expected q_num_heads of 1 or more for inputs of rank 3, got 0": (
        rows(inputs()), {}, 23
    ),
    r"expected the last dimension of Q to be a multiple of 5 heads, got \[96\]": (
        rows(inputs()), {"q_num_heads": 5, "kv_num_heads": 5}, 23
    ),
    r"expected attn_mask that broadcasts to \[2, 4, 5, 7\], got \[5, 8\]": (
        inputs() | {"mask": draw(5, 8)}, {}, 23
    ),
    "expected attn_mask of type": (inputs() | {"mask": np.ones((5, 7), np.int32)}, {}, 23),
    "expected past_key and past_value together, got only past_key": (
        inputs() | {"past_key": draw(2, 2, 3, 24)}, {}, 23
    ),
    "expected nonpad_kv_seqlen or past_key, got both": (
        inputs(past=3) | {"nonpad": np.array([7, 2])}, {}, 24
    ),
    "expected a qk_matmul_output_mode of 0 to 3, got 4": (
        inputs(), {"qk_matmul_output_mode": 4}, 23
    ),
    "expected a softmax_precision of 1, 10, 11 or 16, got 7": (
        inputs(), {"softmax_precision": 7}, 23
    ),
    "expected a left_window_size of -1 or more, got -2": (
        inputs(), {"left_window_size": -2}, 25
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_refusals(message):
    arrays, attributes, opset = REFUSED[message]
    model = attends("Attention", arrays, ["Y"], opset=opset, **attributes)
    assert [bool(re.search(message, refusal.reason)) for refusal in lutra.check(model)] == [
        True
    ]
    with pytest.raises(lutra.CompileError, match=f"'the_Attention'.*{message}"):
        lutra.compile(model)
