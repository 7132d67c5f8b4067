# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Caches that stay in the program, beside the same models that are handed theirs."""

import re

import lutra
import numpy as np
import pytest
from Models.exporter import onnx_runtime
from Models.numerals import make_numerals as writing
from onnx import TensorProto, helper

STATE = "past_key_values.*:present.*:max=64"
STEPS = [5, 1, 1, 7, 1, 12, 1, 20, 1, 15]  # 64 together


def text(batch, past, length, random):
    """Inputs of the language model but for its caches; the first row is padded."""
    mask = np.ones((batch, past + length), np.int64)
    mask[0, 0] = 0
    return {
        "input_ids": random.integers(writing.VOCABULARY, size=(batch, length)),
        "attention_mask": mask,
        "position_ids": np.maximum(mask.cumsum(1) - 1, 0)[:, past:],
    }


@pytest.fixture(scope="module", params=["native", "x86-64"])
def writer(numerals, request):
    return lutra.compile(numerals, state=STATE, mcpu=request.param, threads=2)


@pytest.mark.parametrize("batch", [1, 3])
def test_steps_equal_the_stateless_run(writer, numerals, batch):
    reference = onnx_runtime(numerals)
    random = np.random.default_rng(batch)
    state, caches = writer.state(), writing.no_past(batch)
    for length in STEPS:
        inputs = text(batch, state.length, length, random)
        expected = reference({**inputs, **caches})
        actual = writer(inputs, state=state)
        assert list(actual) == ["logits"]
        np.testing.assert_allclose(
            actual["logits"], expected["logits"], rtol=1e-4, atol=1e-4
        )
        caches = {
            name: expected[name.replace("past_key_values", "present")]
            for name in caches
        }
    assert state.length == 64
    with pytest.raises(lutra.RunError, match="full"):
        writer(text(batch, 64, 1, random), state=state)


def test_continuations_of_one_prefix(writer):
    random = np.random.default_rng(0)
    state = writer.state()
    writer(text(1, 0, 9, random), state=state)
    copy = state.fork()
    inputs = text(1, 9, 4, random)
    there = writer(inputs, state=state)["logits"]
    np.testing.assert_array_equal(writer(inputs, state=copy)["logits"], there)
    # What was forgotten is written over.
    state.truncate(9)
    np.testing.assert_array_equal(writer(inputs, state=state)["logits"], there)


def test_nothing_copies_the_cache(numerals):
    """Of all dispatches only those that insert and the two attentions see a state."""
    ir = lutra.ir(numerals, "form", state=STATE)
    states = set(re.findall(r"(%\w+) = lutra.state", ir))
    assert len(states) == 4
    kernels = []
    for line in ir.splitlines():
        call = re.search(
            r"(%\w+) = lutra.dispatch @([a-z]+)_\d+\[.*?\] \((.*?)\) outs\((.*?)\)", line
        )
        if not call:
            continue
        result, kind, inputs, outputs = call.groups()
        if states & set(re.findall(r"%\w+", outputs)):
            states.add(result)
            kernels.append(kind)
        elif states & set(re.findall(r"%\w+", inputs)):
            kernels.append(kind)
    assert sorted(kernels) == ["cascade"] * 2 + ["concat"] * 4


def attention(heads, groups, grown="total"):
    """ONNX's own operator with a cache."""

    def tensor(name, *shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    node = helper.make_node(
        "Attention", ["q", "k", "v", "mask", "pk", "pv"], ["y", "nk", "nv"], name="att"
    )
    graph = helper.make_graph(
        [node],
        "attention",
        [
            tensor("q", "b", heads, "s", 24),
            tensor("k", "b", groups, "s", 24),
            tensor("v", "b", groups, "s", 40),
            tensor("mask", "s", "p + s"),
            tensor("pk", "b", groups, "p", 24),
            tensor("pv", "b", groups, "p", 40),
        ],
        [
            tensor("y", "b", heads, "s", 40),
            tensor("nk", "b", groups, grown, 24),
            tensor("nv", "b", groups, grown, 40),
        ],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11
    )


@pytest.mark.parametrize(("heads", "groups"), [(4, 2), (3, 3), (6, 1)])
def test_attention(heads, groups):
    model = attention(heads, groups)
    compiled = lutra.compile(model, state=["pk:nk:max=33", "pv:nv:max=40"])
    stateless = lutra.compile(model, dim={"p": (0, None)})
    random = np.random.default_rng(heads)
    state = compiled.state()
    assert state.capacity == 33
    caches = [np.zeros((2, groups, 0, size), np.float32) for size in (24, 40)]
    for length in (3, 1, 17, 1, 11):
        inputs = {
            "q": random.standard_normal((2, heads, length, 24), np.float32),
            "k": random.standard_normal((2, groups, length, 24), np.float32),
            "v": random.standard_normal((2, groups, length, 40), np.float32),
            "mask": random.standard_normal((length, state.length + length), np.float32),
        }
        expected = stateless(inputs | dict(zip(("pk", "pv"), caches, strict=True)))
        actual = compiled(inputs, state=state)
        np.testing.assert_allclose(actual["y"], expected["y"], rtol=1e-4, atol=1e-5)
        caches = [expected["nk"], expected["nv"]]


def test_an_axis_that_nothing_tells():
    model = attention(2, 2)
    del model.graph.output[1].type.tensor_type.shape.dim[3]
    model.graph.input[4].type.tensor_type.shape.dim[3].dim_param = "d"
    model.graph.input[5].type.tensor_type.shape.dim[3].dim_param = "d"
    with pytest.raises(lutra.CompileError, match="expected one symbolic dimension"):
        lutra.compile(model, state="pk:nk:max=8")
