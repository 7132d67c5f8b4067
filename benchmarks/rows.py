#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Softmax and normalization of rows beside ONNX Runtime and a plain copy.

    .venv/bin/python benchmarks/rows.py [--op softmax layernorm rmsnorm]
        [--length 64 1024] [--threads 1 2] [--dynamic]

1,048,576 f32 in all, in rows of different lengths. The limit is a copy of them,
which lie in a cache. Times are the best of all rounds.
"""

import argparse
import os
import tempfile
from pathlib import Path

import lutra
import numpy as np
from harness import SUMMARY, MemoryLimit, aligned, onnx_runtime, summary, take_turns
from onnx import TensorProto, helper, numpy_helper, save

ELEMENTS = 1 << 20
LENGTHS = [64 << step for step in range(9)]
EPSILON = 1e-5
# A single one is too short to be timed.
COPIES = 16


def softmax(x):
    shares = np.exp(x - x.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


def layer_norm(x, scale, bias):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * scale + bias


def rms_norm(x, scale):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * scale


# What computes it in f64; the operator, its set, weights and attributes.
OPS = {
    "softmax": (softmax, "Softmax", 13, [], {}),
    "layernorm": (
        layer_norm, "LayerNormalization", 17, ["scale", "bias"], {"epsilon": EPSILON},
    ),
    "rmsnorm": (rms_norm, "RMSNormalization", 23, ["scale"], {"epsilon": EPSILON}),
}  # fmt: skip


def make_model(path, op, weights, dynamic):
    _, name, opset, names, attributes = OPS[op]
    length = weights[0].size
    shape = ["rows" if dynamic else ELEMENTS // length, length]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy")
    names = names[: len(weights)]
    node = helper.make_node(name, ["x", *names], ["y"], op, axis=-1, **attributes)
    constants = [numpy_helper.from_array(*each) for each in zip(weights, names)]
    graph = helper.make_graph([node], op, [x], [y], constants)
    opset = helper.make_opsetid("", opset)
    save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)


def bound(session, x):
    """A function that runs a session on bound arrays, and what it writes."""
    output = aligned(x.shape, np.float32)
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("y", "cpu", 0, output.dtype, output.shape, output.ctypes.data)
    return (lambda: session.run_with_iobinding(binding)), output
