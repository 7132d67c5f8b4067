# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A small decoder with weights of 4 bits, as exporters of language models write them,
beside ONNX Runtime: its caches stay in the program, and text comes in pieces."""

import sys

import lutra
import numpy as np
import pytest
from conftest import ROOT
from Models.exporter import onnx_runtime

sys.path.insert(0, str(ROOT / "benchmarks"))
import llm_model

STATE = "past_key_values.*:present.*:max=64"
STEPS = [20, 1, 1, 7, 1]
# Both round activations to 8 bits; one of them may fall to the other side.
TOLERANCE = 1e-2


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("llm") / "tiny.onnx"
    llm_model.write(path, llm_model.TINY)
    return path


def difference(actual, expected):
    """Of logits, relative."""
    return np.sqrt(((actual - expected) ** 2).mean() / (expected**2).mean())


@pytest.mark.parametrize("level", ["native", "x86-64-v3", "x86-64"])
def test_writes_like_onnx_runtime(model, level):
    sizes = llm_model.TINY
    writer = lutra.compile(
        model, state=STATE, mcpu=level, threads=2, dim={"batch_size": 1}
    )
    reference, state = onnx_runtime(model), writer.state()
    empty = np.zeros((1, sizes.kv_heads, 0, sizes.depth), np.float32)
    caches = {f"past_key_values.{layer}.{name}": empty
              for layer in range(sizes.layers) for name in ("key", "value")}  # fmt: skip
    random = np.random.default_rng(1)
    for length in STEPS:
        inputs = {
            "input_ids": random.integers(sizes.vocabulary, size=(1, length)),
            "attention_mask": np.ones((1, state.length + length), np.int64),
        }
        expected = reference({**inputs, **caches})
        actual = writer(inputs, state=state)["logits"]
        assert difference(actual, expected["logits"]) < TOLERANCE
        caches = {
            name: expected[name.replace("past_key_values", "present")] for name in caches
        }
