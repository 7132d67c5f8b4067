# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small models, written as text."""

import onnx.parser

HEADER = '<ir_version: 10, opset_import: ["" : 18]>\n'


def parse(text):
    return onnx.parser.parse_model(HEADER + text)


def mlp():
    """y = relu(x w + b), for any batch."""
    return parse(
        """
        mlp (float[batch, 4] x) => (float[batch, 3] y)
        <float[4, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
         float[3] b = {-100, 0, 100}>
        { h = MatMul(x, w)  s = Add(h, b)  y = Relu(s) }
        """
    )


def subtract():
    """Two inputs that may not be exchanged, two outputs."""
    return parse(
        """
        subtract (float[n, 4] a, float[n, 4] b) => (float[n, 4] d, float[n, 4] s)
        { d = Sub(a, b)  s = Add(a, b) }
        """
    )


def unary(op, dtype, shape="[n, 4]", result=None):
    """One operator; the shape of a scalar is "", and "[]" would be no shape."""
    return parse(
        f"unary ({dtype}{shape} x) => ({result or dtype}{shape} y) {{ y = {op}(x) }}"
    )


def running():
    """Over all rows so far, which `past` and `present` carry from call to call."""
    return parse(
        """
        running (float[batch, new, 4] x, float[batch, past, 4] past)
          => (float[batch, 4] total, float[batch, 4] largest, float[batch, all, 4] present)
        <int64[1] rows = {1}>
        { present = Concat<axis = 1>(past, x)
          total = ReduceSum<keepdims = 0>(present, rows)
          largest = ReduceMax<keepdims = 0>(present, rows) }
        """
    )
