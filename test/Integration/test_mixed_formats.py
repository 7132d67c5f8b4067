# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""--quantize with two formats for a weight: outputs that lose most by the first have the
second. Rows are quantized each for itself, so that each output is as in one of two models
of one format."""

import json

import lutra
import numpy as np
import onnx
import pytest
from conftest import lutra_compile
from onnx import helper
from float_products import decoded, model_of, normal, product, relative

K, N = 256, 160


def unequal(k=K, n=N, seed=0):
    """Outputs of other magnitudes, in no order."""
    return normal(k, n, seed=seed) * np.exp(0.7 * normal(1, n, seed=seed + 1))


def quantize(weight, rules, folder, **options):
    """A model, and what the report says of its product."""
    path, report = folder / "m.onnx", folder / "r.json"
    onnx.save(product(weight), path)
    model = lutra.compile(path, quantize=rules, report=f"quantization:{report}", **options)
    (layer,) = json.loads(report.read_text())["products"]
    return model, layer


def lost(weight, rules):
    """The squared error of each output."""
    got = decoded(lutra.compile(product(weight), quantize=rules), len(weight))
    return np.sum((got - weight) ** 2.0, axis=0)


@pytest.mark.parametrize("first, share, second, settings", [
    ("trellis2", "", "trellis3", ""), ("trellis2", "25%", "trellis4", ":a8"),
    ("int2", "10%", "int8", ""), ("int4", "", "int8", ":a8"), ("uint3", "30%", "fp8", ":mse"),
    ("ternary", "", "uint4", ":g64:nearest"), ("bcq1", "", "nf4", ""), ("bcq2", "40%", "int3", ":a8"),
    ("mxfp4", "", "mxfp8", ":mse"), ("fp4", "75%", "mxfp6", ":nearest"), ("int3", "", "int6", ":row"),
    ("iq4", "60%", "uint8", ":s256:a8"), ("uint1", "", "int2", ":a8"),
])  # fmt: skip
def test_formats(first, share, second, settings, tmp_path):
    weight = unequal()
    mixed = f"{first}+{share}{second}"
    model, layer = quantize(weight, mixed + settings, tmp_path)
    got = decoded(model, K)
    parts = [decoded(lutra.compile(product(weight), quantize=name + settings), K) for name in (first, second)]
    has_second = np.all(got == parts[1], axis=0)
    assert np.all(has_second | np.all(got == parts[0], axis=0))
    count = int(float(share.rstrip("%") or 50) / 100 * N / 16 + 0.5) * 16
    assert has_second.sum() == count
    # They are those that lose most by the first format.
    worst = np.argsort(lost(weight, f"{first}{settings.replace(':a8', '').replace(':mse', '')}:nearest"))[-count:]
    assert set(worst) == set(np.flatnonzero(has_second))
    # The report says the same.
    assert layer["format"] == f"{first}+{second}"
    assert [part["format"] for part in layer["parts"]] == [first, second]
    assert [part["outputs"] for part in layer["parts"]] == [N - count, count]
    if "a8" not in settings:
        assert layer["relative_error"] == pytest.approx(relative(got, weight), rel=1e-3)
    alone = [quantize(weight, name + settings, tmp_path)[1]["quantized_bytes"] for name in (first, second)]
    assert layer["quantized_bytes"] == pytest.approx(
        (alone[0] * (N - count) + alone[1] * count) / N, abs=1
    )
    # Rows that are not those of the identity, of any number.
    for rows in (1, 5, 33):
        x = normal(rows, K, seed=rows)
        most = 0.02 if "a8" in settings else 1e-5
        assert relative(model(x)["y"], x @ got) < (0.2 if "uint1" in first else most)


@pytest.mark.parametrize("rules", ["vptq2+vptq4", "aqlm1+25%int4", "nvfp4+int8", "trellis2+aqlm3:a8"])
def test_formats_of_whole_weights(rules, tmp_path):
    """Codebooks and a tensor's scale are those of a part."""
    weight = unequal()
    model, layer = quantize(weight, rules, tmp_path)
    got = decoded(model, K)
    narrow, wide = (
        lutra.compile(product(weight), quantize=part["format"]) for part in layer["parts"]
    )
    losses = [relative(decoded(other, K), weight) for other in (wide, narrow)]
    assert losses[0] < relative(got, weight) < losses[1]
    if "a8" not in rules:
        assert layer["relative_error"] == pytest.approx(relative(got, weight), rel=1e-3)


def test_error_is_between(tmp_path):
    """Normally distributed weights, whose outputs differ little, have what the formats' errors
    say; where they differ, the choice of outputs makes it less."""
    error = {}
    for name, weight in {"equal": normal(1024, 128), "unequal": unequal(1024, 128)}.items():
        for rules in ("trellis2", "trellis2+trellis3", "trellis3"):
            error[name, rules] = quantize(weight, rules, tmp_path)[1]["relative_error"]
        mean = np.hypot(error[name, "trellis2"], error[name, "trellis3"]) / 2**0.5
        assert error[name, "trellis2+trellis3"] < (1 if name == "equal" else 0.8) * mean
    _, layer = quantize(normal(1024, 128), "trellis2+trellis3", tmp_path)
    assert layer["bits_per_weight"] == 3


@pytest.mark.parametrize("share, count", [("0.1%", 8), ("3%", 8), ("50%", 48), ("99%", 88)])
def test_shares(share, count, tmp_path):
    """Multiples of 8 of 96 outputs."""
    model, layer = quantize(normal(K, 96), f"int2+{share}int8", tmp_path)
    assert [part["outputs"] for part in layer["parts"]] == [96 - count, count]
    assert model(normal(3, K))["y"].shape == (3, 96)


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_few_outputs(n):
    weight = unequal(4096, n, seed=4)
    got = decoded(lutra.compile(product(weight), quantize="int4+int8"), 4096)
    good = np.sum((got - weight) ** 2, axis=0) < 1e-4 * np.sum(weight**2, axis=0)
    assert good.sum() == round(n / 2 + 1e-9)


def test_groups_are_halved(tmp_path):
    for most in (20, 12):
        _, layer = quantize(unequal(), f"int2+75%int4:row:e{most}%", tmp_path)
        groups = {part["group"] for part in layer["parts"]}
        assert groups == {16} or layer["relative_error"] <= most / 100


def perceptron():
    """Two products behind each other, with what follows products, and one that stays."""
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"], "up"),
        helper.make_node("Add", ["a", "b1"], ["b"], "bias"),
        helper.make_node("Relu", ["b"], ["c"], "act"),
        helper.make_node("MatMul", ["c", "w2"], ["d"], "down"),
        helper.make_node("Add", ["d", "x"], ["e"], "residual"),
        helper.make_node("MatMul", ["e", "w3"], ["y"], "head"),
    ]
    weights = {"w1": unequal(64, 256), "b1": normal(256), "w2": unequal(256, 64), "w3": unequal(64, 100)}
    return model_of(nodes, weights, {"x": ["batch", 64]}, {"y": ["batch", 100]}), weights


@pytest.mark.parametrize("settings, most", [("", 0.03), (":a8", 0.04)])
def test_model(settings, most, tmp_path):
    path, report = tmp_path / "m.onnx", tmp_path / "r.json"
    model, weights = perceptron()
    onnx.save(model, path)
    quantized = lutra.compile(
        path, quantize=f"*head*=none;*=int6+int8{settings}", report=f"quantization:{report}"
    )
    for rows in (1, 4, 50):
        x = normal(rows, 64, seed=rows)
        hidden = np.maximum(x @ weights["w1"] + weights["b1"], 0)
        expected = (hidden @ weights["w2"] + x) @ weights["w3"]
        assert relative(quantized(x)["y"], expected) < most
    layers = json.loads(report.read_text())["products"]
    assert [layer.get("format") for layer in layers] == ["int6+int8", "int6+int8", None]
    (close,) = lutra.check_accuracy(path, "*=int6+int8").values()
    assert 0 < close.relative < most


def test_text_report(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(product(unequal()), path)
    done = lutra_compile(
        path, "-o", tmp_path / "m.so", "--quantize=bcq2+20%int4:a8", "--report=quantization"
    )
    assert (
        "bcq2, groups of 128, of 128 outputs and int4, groups of 32, of 32 outputs, "
        "activations of 8 bits, 2.70 bits per weight, error " in done.stdout
    )


def test_activations_are_rounded_once(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(product(unequal()), path)
    done = lutra_compile(path, "--compile-to=quantize", "-o", "-", "--quantize=int4+int8:a8")
    assert done.stdout.count("mpgemm.quantize_act") == 1
    assert done.stdout.count("mpgemm.matmul") == 2


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(transposed):
    weight = unequal(seed=3)
    stored = np.ascontiguousarray(weight.T) if transposed else weight
    got = decoded(lutra.compile(product(stored, transB=transposed), quantize="int4+int8"), K)
    same = decoded(lutra.compile(product(weight), quantize="int4+int8"), K)
    np.testing.assert_array_equal(got, same)


@pytest.mark.parametrize("settings", ["", ":a8"])
def test_convolution(settings):
    weight = normal(48, 32, 3, 3) * np.exp(normal(48, 1, 1, 1, seed=7))
    node = helper.make_node("Conv", ["x", "w"], ["y"], "conv", pads=[1, 1, 1, 1])
    model = model_of([node], {"w": weight}, {"x": ["n", 32, 9, 9]}, {"y": ["n", 48, 9, 9]})
    x = normal(2, 32, 9, 9, seed=1)
    exact = lutra.compile(model)(x)["y"]
    error = {
        name: relative(lutra.compile(model, quantize=name + settings)(x)["y"], exact)
        for name in ("int3", "int3+int6", "int6")
    }
    assert error["int6"] < error["int3+int6"] < 0.7 * error["int3"]


def test_shared_weights(tmp_path):
    """Two products of one weight have the same outputs in the same formats, stored once."""
    weight = unequal(128, 128)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "first"),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["y"], "second"),
    ]
    model = model_of(nodes, {"w": weight}, {"x": ["n", 128]}, {"y": ["n", 128]})
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    lutra_compile(path, "-o", tmp_path / "m.so", "--quantize=int4+int8")
    stored = (tmp_path / "m.weights").stat().st_size
    assert stored < 1.1 * 128 * 128 * 6.5 / 8
    x = normal(3, 128, seed=5)
    got = decoded(lutra.compile(product(weight), quantize="int4+int8"), 128)
    np.testing.assert_allclose(lutra.compile(path, quantize="int4+int8")(x)["y"], np.tanh(x @ got) @ got, rtol=1e-3, atol=1e-2)


# With samples


def unequal_inputs(rows, seed):
    """The second half of the channels is large."""
    return normal(rows, K, seed=seed) * np.repeat(np.float32([0.1, 4]), K // 2)


def test_samples_choose_outputs():
    """Outputs count by what they lose for the inputs."""
    weight = normal(K, N)
    weight[: K // 2, :80] *= 4
    weight[K // 2 :, 80:] *= 2
    options = {"": {}, "samples": {"calibrate": {"x": unequal_inputs(64, 1)}}}
    for name, option in options.items():
        got = decoded(lutra.compile(product(weight), quantize="int2+int8", **option), K)
        good = relative(got[:, :80], weight[:, :80]), relative(got[:, 80:], weight[:, 80:])
        assert good[0] < 0.01 < good[1] if name == "" else good[1] < 0.01 < good[0]


@pytest.mark.parametrize("settings, most", [
    ("", 0.2), (":gptq", 0.2), (":a8:smooth", 0.2), (":row:a8:outliers5", 0.25), (":a8s", 0.2), (":a8:arc", 0.2),
])  # fmt: skip
def test_settings_of_samples(settings, most, tmp_path):
    weight, x = unequal(), unequal_inputs(100, 2)
    samples = {"x": unequal_inputs(200, 3)}
    first = "int4" if "arc" in settings else "int3"
    mixed, layer = quantize(weight, f"{first}+int6{settings}", tmp_path, calibrate=samples)
    error = relative(mixed(x)["y"], x @ weight)
    alone = [
        relative(quantize(weight, name + settings, tmp_path, calibrate=samples)[0](x)["y"], x @ weight)
        for name in (first, "int6")
    ]
    assert alone[1] < error < alone[0] and error < most
    assert layer["error_of"] == "outputs" and len(layer["parts"]) == 2


# What is wrong


@pytest.mark.parametrize("rules, said", [
    ("int4+", "expected a format, uint1, "),
    ("int4+", "two of them as FORMAT+PERCENT%FORMAT, auto:BITS or none, got '' in 'int4+'"),
    ("+int4", "got '' in '+int4'"),
    ("int4+int9", "got 'int9' in 'int4+int9'"),
    ("int2+int4+int8", "got 'int4+int8' in 'int2+int4+int8'"),
    ("int4+none", "got 'none' in 'int4+none'"),
    ("auto+int4", "got 'auto' in 'auto+int4'"),
    ("int4+auto:5", "got 'auto' in 'int4+auto:5'"),
    ("int8+int4", "expected a format of more bits behind '+', got 'int8+int4'"),
    ("int4+10%int4", "expected a format of more bits behind '+', got 'int4+10%int4'"),
    ("vptq3+int3", "expected a format of more bits behind '+', got 'vptq3+int3'"),
    ("int4+0%int8", "expected a percentage of outputs above 0 and below 100, got '0' in 'int4+0%int8'"),
    ("int4+100%int8", "got '100' in 'int4+100%int8'"),
    ("int4+-5%int8", "got '-5' in"),
    ("int4+nan%int8", "got 'nan' in"),
    ("int4+%int8", "got '' in"),
    ("int4+5%%int8", "got '%int8' in"),
    ("int4 + int8", "got 'int4 ' in"),
    ("nf4+int8:a8", "expected activations a32 for nf4, whose numbers are not integers, got 'nf4+int8:a8'"),
    ("int4+mxfp8:g16", "expected groups of 32 for mxfp8, got 'int4+mxfp8:g16'"),
    ("trellis2+int4:g48", "expected groups of a multiple of 32 for trellis2, got"),
    ("trellis2+int4:gptq", "expected mse or nearest for trellis2, whose weights"),
    ("int4+mxfp8:e5%", "expected no error for mxfp8, whose groups are not halved"),
    ("int3+int8:a8:arc", "expected a format of 4 bits or more, a number for each code, with arc"),
    ("bcq2+int4:s64", "expected super-blocks of a multiple of the weights of a group, got 'bcq2+int4:s64'"),
])  # fmt: skip
def test_bad_rules(rules, said, tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(product(normal(K, N)), path)
    done = lutra_compile(path, "-o", tmp_path / "m.so", f"--quantize={rules}", expect=2)
    assert done.stderr.startswith("lutra-compile: error: --quantize: expected ")
    assert said in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("output", [0, 5, N - 1])
def test_weights_that_are_no_numbers(output, tmp_path):
    """The error names the output by its place in the model."""
    weight = unequal()
    weight[70, output] = np.nan
    path = tmp_path / "m.onnx"
    onnx.save(product(weight), path)
    done = lutra_compile(path, "-o", tmp_path / "m.so", "--quantize=int4+int8", expect=3)
    assert "weight 'w': expected finite numbers to quantize, got nan" in done.stderr
    assert f"for input 70 of output {output}" in done.stderr
    assert not (tmp_path / "m.so").exists()
