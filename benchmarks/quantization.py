#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prints what the formats of --quantize take and lose: quantization.py [FORMAT..]

Each quantizes a matrix of 1024 x 256 normally distributed weights. "time" is what one
of them takes one core, of a matrix of 4096 x 4096, less what copying it takes.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import lutra
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FORMATS = ["bcq1", "bcq2", "bcq3", "bcq4", "trellis2", "trellis3", "trellis4",
           "aqlm1", "vptq2", "aqlm2", "vptq3", "aqlm3", "vptq4",
           "ternary", "pot3", "nf4", "iq4", "pot4", "posit4", "fp4", "mxfp4", "nvfp4",
           "mxfp6", "mxfp6e3m2", "posit8", "fp8", "fp8e5m2", "mxfp8", "mxfp8e5m2",
           *(f"int{bits}" for bits in range(2, 9)),
           *(f"uint{bits}" for bits in range(1, 9)),
           "trellis2+trellis3", "trellis3+trellis4", "int4+10%int8"]  # fmt: skip
METHODS = ["nearest", "mse"]


def write_product(path, k, n):
    """A model y = x w of x [batch, k] and normally distributed weights."""
    weight = np.random.default_rng(0).standard_normal((k, n), np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", k])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", n])],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    opset = helper.make_opsetid("", 21)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)


def seconds(path, **options):
    """The time of a process's all threads."""
    start = time.process_time()
    lutra.compile(path, path.with_suffix(".so"), opt_level=0, **options)
    return time.process_time() - start


def main():
    formats = sys.argv[1:] or FORMATS
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small.onnx"), Path(folder, "large.onnx")
        write_product(small, 1024, 256)
        write_product(large, 4096, 4096)
        report, copied = Path(folder, "report.json"), seconds(large)
        print(f"{'format':18}{'group':>6}{'bits':>7}" + "".join(
            f"{method:>10}{'time':>10}" for method in METHODS))  # fmt: skip
        for name in formats:
            row = ""
            for method in METHODS:
                rules = f"{name}:{method}"
                lutra.compile(small, Path(folder, "m.so"), quantize=rules,
                              report=f"quantization:{report}")  # fmt: skip
                (product,) = json.loads(report.read_text())["products"]
                each = (seconds(large, quantize=rules) - copied) / 4096**2
                row += f"{100 * product['relative_error']:>8.2f} %{1e9 * each:>7.1f} ns"
            group = product.get("parts", [product])[0]["group"]
            print(f"{name:18}{group:>6}{product['bits_per_weight']:>7.2f}{row}")


if __name__ == "__main__":
    main()
