# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loop and Scan with few iterations, which are unrolled, with many and with a
symbolic number of them, beside ONNX Runtime."""

import lutra
import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper, parser

HEADER = '<ir_version: 10, opset_import: ["" : 18]>\n'

SCAN = """
scan (float[2, 16] h, float[{length}, 2, 16] x)
    => (float[2, 16] last, float[2, {length}, 16] y, float[2, {length}] sums)
  <int64[1] axis = {{1}}>
{{
  last, y, sums = Scan <num_scan_inputs = 1, scan_input_directions = [1],
      scan_output_axes = [1, -1], scan_output_directions = [0, 1], body = step
      (float[2, 16] state, float[2, 16] element)
      => (float[2, 16] next, float[2, 16] relu, float[2] sum)
    {{
      product = MatMul (state, w)
      both = Add (product, element)
      next = Tanh (both)
      relu = Relu (next)
      sum = ReduceSum <keepdims = 0> (element, axis)
    }}> (h, x)
}}
"""

# The states trade places, and an output is what a state was.
SWAP = """
swap (float[3] p, float[3] q, float[{length}, 3] x)
    => (float[3] p_last, float[3] q_last, float[{length}, 3] y)
{{
  p_last, q_last, y = Scan <num_scan_inputs = 1, body = step
      (float[3] a, float[3] b, float[3] e) => (float[3] a2, float[3] b2, float[3] old)
    {{
      b2 = Add (a, e)
      a2 = Identity (b)
      old = Identity (a)
    }}> (p, q, x)
}}
"""

LOOP = """
loop (float[4] h, float[{length}, 4] x) => (float[4] last, float[{length}, 4] y)
  <int64 zero = {{0}}, bool yes = {{1}}, float half = {{0.5}}>
{{
  shape = Shape (x)
  trips = Gather <axis = 0> (shape, zero)
  last, y = Loop <body = step
      (int64 i, bool goes_on, float[4] s) => (bool goes_on2, float[4] s2, float[4] y1)
    {{
      number = Cast <to = 1> (i)
      element = Gather <axis = 0> (x, i)
      smaller = Mul (s, half)
      sum = Add (smaller, element)
      s2 = Add (sum, number)
      y1 = Sub (s2, s)
      goes_on2 = Identity (goes_on)
    }}> (trips, yes, h)
}}
"""


def model(text, length, weights=()):
    model = parser.parse_model(HEADER + text.format(length=length))
    model.graph.initializer.extend(weights)
    return model


@pytest.mark.parametrize("text", [SCAN, SWAP, LOOP], ids=["scan", "swap", "loop"])
@pytest.mark.parametrize("length", [1, 5, 65, 300])
@pytest.mark.parametrize("symbolic", [False, True], ids=["static", "symbolic"])
def test_iterations(text, length, symbolic):
    random = np.random.default_rng(3)
    w = random.standard_normal((16, 16), np.float32) / 4
    weights = [numpy_helper.from_array(w, "w")] if text is SCAN else []
    fixed = model(text, length, weights)
    inputs = {
        value.name: random.standard_normal(
            [dim.dim_value for dim in value.type.tensor_type.shape.dim], np.float32
        )
        for value in fixed.graph.input
    }
    session = onnxruntime.InferenceSession(
        fixed.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    compiled = lutra.compile(model(text, "n", weights) if symbolic else fixed)
    actual = compiled(inputs)
    for value, expected in zip(fixed.graph.output, session.run(None, inputs)):
        np.testing.assert_allclose(
            actual[value.name], expected, rtol=1e-5, atol=1e-5, err_msg=value.name
        )


STATE_GROWS = """
grow (float[n] h) => (float[m] last)
  <int64 trips = {{100}}, bool yes = {{1}}>
{{
  last = Loop <body = step (int64 i, bool c, float[k] s) => (bool c2, float[j] s2)
    {{
      s2 = Concat <axis = 0> (s, s)
      c2 = Identity (c)
    }}> (trips, yes, h)
}}
"""

STOPS = """
stop (float[4] h) => (float[4] last)
  <int64 trips = {{100}}, bool yes = {{1}}, float limit = {{1}}>
{{
  last = Loop <body = step (int64 i, bool c, float[4] s) => (bool c2, float[4] s2)
    {{
      s2 = Add (s, s)
      largest = ReduceMax <keepdims = 0> (s2)
      c2 = Less (largest, limit)
    }}> (trips, yes, h)
}}
"""

TRADE = """
trade (float[{length}] p, float[{length}] q) => (float[{length}] p_last, float[{length}] q_last)
  <int64 trips = {{100}}, bool yes = {{1}}>
{{
  p_last, q_last = Loop <body = step
      (int64 i, bool c, float[k] a, float[k] b) => (bool c2, float[k] a2, float[k] b2)
    {{
      a2 = Identity (b)
      b2 = Identity (a)
      c2 = Identity (c)
    }}> (trips, yes, p, q)
}}
"""

LARGE = """
large (float[2, 4] h, float[{length}, 2, 4] x) => (float[2, 4] last)
{{
  last = Scan <num_scan_inputs = 1, body = step
      (float[2, 4] s, float[2, 4] e) => (float[2, 4] s2)
    {{
      wide = Concat <axis = 0> ({many})
      top = ReduceMax <keepdims = 1> (wide, axis)
      s2 = Add (s, top)
    }}> (h, x)
}}
"""


@pytest.mark.parametrize(
    "text, reason",
    [
        (STATE_GROWS, "expected a state of shape"),
        (TRADE, "expected a body whose tensors have known sizes"),
        (STOPS, "expected a condition that is known to hold after each iteration"),
    ],
    ids=["grows", "trades", "stops"],
)
def test_refusals(text, reason):
    with pytest.raises(lutra.CompileError, match=reason):
        lutra.compile(model(text, "n"))


def test_large_temporaries():
    text = LARGE.replace("{many}", ", ".join(["e"] * 5000))
    axis = numpy_helper.from_array(np.array([0]), "axis")
    with pytest.raises(lutra.CompileError, match="256 KiB at most"):
        lutra.compile(model(text, "n", [axis]))
