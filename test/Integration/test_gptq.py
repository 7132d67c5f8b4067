# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""--quantize with gptq: weights that make up for the errors of others, by how the
samples' channels go together."""

import lutra
import numpy as np
import onnx
import pytest
from calibration import K, N, correlated, outputs_error, report_of
from onnx import helper
from float_products import model_of, normal, product, relative


@pytest.mark.parametrize("name", ["int3", "int4:g128", "int4:row", "uint4:g40", "nf4", "mxfp4", "nvfp4", "ternary"])
def test_gptq(name):
    """Weights that make up for others' errors, where inputs are correlated."""
    weight, x = normal(K, N), correlated(500, seed=1)
    samples = {"x": correlated(1000, seed=3)}
    mse = outputs_error(weight, name, samples, x)
    assert outputs_error(weight, f"{name}:gptq", samples, x) < 0.75 * mse


def test_gptq_of_uncorrelated_inputs():
    """There is nothing to make up for."""
    weight, x = normal(K, N), normal(500, K, seed=1)
    samples = {"x": normal(4000, K, seed=3)}
    mse = outputs_error(weight, "int4", samples, x)
    assert outputs_error(weight, "int4:gptq", samples, x) < 1.03 * mse


def test_gptq_report(tmp_path):
    """With all moments the error of outputs is exact for the samples."""
    weight, x = normal(K, N), correlated(300, seed=1)
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(product(weight), path)
    np.savez(data, x=x)
    for setting in ("gptq", "gptq:smooth", "gptq:outliers8"):
        _, layers = report_of(path, tmp_path, f"--quantize=int4:{setting}", f"--calibrate={data}")
        layer = layers["layers.0/proj"]
        assert layer["method"] == "gptq"
        got = lutra.load(tmp_path / "m.so")(x)["y"]
        assert layer["relative_error"] == pytest.approx(relative(got, x @ weight), rel=1e-2)


def test_gptq_of_too_many_channels(tmp_path):
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(product(normal(16385, 2)), path)
    np.savez(data, x=normal(3, 16385))
    done, layers = report_of(path, tmp_path, "--quantize=int8:gptq", f"--calibrate={data}")
    said = "node 'layers.0/proj': has 16385 input channels, too many for gptq; mse is used instead"
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert layers["layers.0/proj"]["method"] == "mse"


def test_gptq_of_several_products(tmp_path):
    """Factors of different sizes, and two products that share one."""
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["ya"], "left"),
        helper.make_node("MatMul", ["x", "b"], ["yb"], "right"),
        helper.make_node("Mul", ["ya", "yb"], ["h"], "gate"),
        helper.make_node("MatMul", ["h", "c"], ["y"], "down"),
    ]
    weights = {"a": normal(K, 80, seed=1), "b": normal(K, 80, seed=2), "c": normal(80, K, seed=3)}
    model = model_of(nodes, weights, {"x": ["batch", K]}, {"y": ["batch", K]})
    samples = {"x": correlated(400, seed=5).reshape(4, 100, K)}
    x = correlated(200, seed=7)
    errors = [
        lutra.check_accuracy(model, rules, {"x": x}, calibrate=samples)["y"].relative
        for rules in ("int4", "int4:gptq")
    ]
    assert errors[1] < 0.8 * errors[0]
