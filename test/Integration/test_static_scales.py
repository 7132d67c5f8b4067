# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""--quantize with a8s: activations are rounded with a scale that samples gave, one for
all. What it computes is known exactly, from the report's scale and zero point."""

import re

import lutra
import numpy as np
import onnx
import pytest
from calibration import K, N, check_numerals, refused, report_of, sample_files, with_outliers
from conftest import lutra_compile
from onnx import helper
from float_products import decoded, model_of, normal, product, relative
from test_quantize_convolutions import CASES, IDS, convolution, expected
from test_quantize_convolutions import decoded as decoded_kernel


def rounded(x, layer):
    """What x is rounded to."""
    scale, zero = np.float32(layer["activation_scale"]), layer["activation_zero"]
    codes = np.rint(x * (np.float32(1) / scale)) + zero
    return (np.clip(codes, -128, 127) - zero) * np.float64(scale)


def compiled(model, rules, samples, tmp_path, *options):
    """The model, and what the report says of its product."""
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(model, path)
    np.savez(data, x=samples)
    _, layers = report_of(path, tmp_path, f"--quantize={rules}", f"--calibrate={data}", *options)
    return lutra.load(tmp_path / "m.so"), next(iter(layers.values()))


def scale_of(samples, tmp_path, rules="int8:row:a8s"):
    return compiled(product(normal(K, 32)), rules, samples.reshape(-1, K), tmp_path)[1]


# What is computed


RULES = ["int8:row", "int4", "uint4", "uint8:g40", "ternary", "bcq3", "trellis2", "iq4", "nvfp4", "int5:row"]  # fmt: skip


@pytest.mark.parametrize("level", ["native", "x86-64-v3", "x86-64"])
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("shift", [0, 2.5])
def test_products(rules, level, shift, tmp_path):
    """With a zero point where inputs are mostly of one sign, and rows of any number."""
    weight, samples = normal(K, N), normal(64, K, seed=1) + shift
    model, layer = compiled(product(weight), f"{rules}:a8s", samples, tmp_path, f"--mcpu={level}")
    assert bool(layer["activation_zero"]) == bool(shift)
    known = decoded(lutra.compile(product(weight), quantize=rules, calibrate={"x": samples}), K)
    for rows in (1, 7, 40):
        x = normal(rows, K, seed=2 + rows) + np.float32(shift)
        exact = rounded(x, layer) @ known.astype(np.float64)
        np.testing.assert_allclose(model(x)["y"], exact, rtol=1e-4, atol=3e-4)
        assert 0.001 < relative(exact, x @ known) < 0.02


@pytest.mark.parametrize("rules", ["int8:row", "int4:g16", "uint4:g32", "bcq3:g16"])
@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_convolutions(number, rules, tmp_path):
    """Paddings are 0, also where that is no integer's 0."""
    shape, w_shape, attributes = CASES[number]
    weight, x = normal(*w_shape, seed=3), np.maximum(normal(*shape, seed=4), -0.2)
    model = convolution(weight, shape, **attributes)
    model, layer = compiled(model, f"{rules}:a8s", x, tmp_path)
    assert layer["activation_zero"] < -50
    y = expected(decoded_kernel(weight, rules), rounded(x, layer).astype(np.float32), attributes)
    np.testing.assert_allclose(model(x)["y"], y, rtol=1e-4, atol=3e-3)


def test_convolution_of_any_size(tmp_path):
    weight, attributes = normal(32, 16, 3, 3), {"pads": [1, 1, 0, 0], "strides": [2, 2]}
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(convolution(weight, ["n", 16, "h", "w"], **attributes), path)
    np.savez(data, x=normal(2, 16, 12, 9))
    dims = {"n": "0..4", "h": "2..64", "w": "2..64"}
    model = lutra.compile(path, quantize="int8:a8s", calibrate=str(data), dim=dims)
    for shape in [(1, 16, 9, 8), (3, 16, 2, 31), (0, 16, 5, 5)]:
        x = normal(*shape, seed=1)
        y = model(x)["y"]
        assert y.shape == (shape[0], 32, (shape[2] - 2) // 2 + 1, (shape[3] - 2) // 2 + 1)
        assert not x.size or relative(y, expected(weight, x, attributes)) < 0.02


@pytest.mark.parametrize("shift", [0, 2.5])
def test_out_of_range(shift, tmp_path):
    """Larger numbers than any of the samples saturate, and a NaN is the least number."""
    weight, samples = normal(K, N), normal(64, K, seed=1) + shift
    model, layer = compiled(product(weight), "int8:row:a8s", samples, tmp_path)
    x = normal(6, K, seed=2)
    x[:, 7] = [100, -100, 1e30, np.inf, -np.inf, np.nan]
    y = model(x)["y"]
    known = decoded(lutra.compile(product(weight), quantize="int8:row", calibrate={"x": samples}), K)
    x[2:, 7] = [100, 100, -100, -100]
    np.testing.assert_allclose(y, rounded(x, layer) @ known, rtol=1e-4, atol=3e-4)


def test_rows_are_rounded_alike(tmp_path):
    """Unlike with a8, a row that is small has few steps."""
    model, layer = compiled(product(normal(K, N)), "int8:row:a8s", normal(64, K), tmp_path)
    x = normal(1, K, seed=3) * np.float32(0.4 * layer["activation_scale"] / 4)
    assert not np.any(model(x)["y"])


def test_is_elementwise():
    """No largest magnitude is sought; what makes x rounds it, and siblings share it."""
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["p"], "first"),
        helper.make_node("Relu", ["p"], ["h"], "relu"),
        helper.make_node("MatMul", ["h", "b"], ["u"], "left"),
        helper.make_node("MatMul", ["h", "c"], ["v"], "right"),
        helper.make_node("Mul", ["u", "v"], ["y"], "gate"),
    ]
    weights = {name: normal(128, 128, seed=i) for i, name in enumerate("abc")}
    model = model_of(nodes, weights, {"x": ["batch", 128]}, {"y": ["batch", 128]})
    options = {"quantize": "int8:row:a8s", "calibrate": {"x": normal(64, 128)}}
    text = lutra.ir(model, "quantize", **options)
    assert "quantize_act" not in text and "xscales" not in text
    assert text.count("math.roundeven") == 2
    # Of the second x, least is 0.
    assert text.count('part = "sums"') == 2
    text = lutra.ir(model, "form", **options)
    # The first product's kernel writes the bytes that the others read.
    kernels = text.split("func.func private")
    assert any("mpgemm.matmul" in k and "math.roundeven" in k for k in kernels)
    # Bytes and their sums of x and of h, and two more products.
    assert text.count("lutra.dispatch @") == 6


# Scales


def test_nothing_but_zeros(tmp_path):
    """They tell nothing of inputs: these are rounded row by row, as a warning says."""
    weight = normal(K, 32)
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(product(weight), path)
    np.savez(data, x=np.zeros((3, K), np.float32))
    done, layers = report_of(path, tmp_path, "--quantize=int8:row:a8s", f"--calibrate={data}")
    (warning,) = [line for line in done.stderr.splitlines() if "warning: " in line]
    assert "has inputs of which samples tell nothing, as 'int8:row:a8s' needs" in warning
    (layer,) = layers.values()
    assert layer["activations"] == "i8" and "activation_scale" not in layer
    x = normal(4, K, seed=1) / 100
    assert relative(lutra.load(tmp_path / "m.so")(x)["y"], x @ weight) < 0.02


def test_largest_magnitude(tmp_path):
    samples = normal(64, K)
    layer = scale_of(samples, tmp_path, "int8:row:nearest:a8s")
    assert layer["activations"] == "i8" and layer["activation_zero"] == 0
    assert layer["activation_scale"] == pytest.approx(np.max(np.abs(samples)) / 127, rel=1e-6)


@pytest.mark.parametrize("low, high", [(0, 3), (-0.17, 3), (-3, 0.2), (2, 3), (-5, -4)])
def test_zero_points(low, high, tmp_path):
    """What lies on one side of 0 has all integers; 0 is one of them."""
    samples = np.random.default_rng(0).uniform(low, high, (64, K)).astype(np.float32)
    layer = scale_of(samples, tmp_path, "int8:row:nearest:a8s")
    low, high = min(0, samples.min()), max(0, samples.max())
    assert layer["activation_scale"] == pytest.approx((high - low) / 255, rel=1e-5)
    assert layer["activation_zero"] == round(-128 - low / ((high - low) / 255))


def clipped_error(samples, layer, ratio):
    """The error of samples with a range that is smaller by `ratio`."""
    other = {**layer, "activation_scale": layer["activation_scale"] * ratio}
    return np.sum((samples - rounded(samples, other)) ** 2)


@pytest.mark.parametrize(
    "draw",
    [
        lambda r: r.standard_normal((400, K)),
        lambda r: r.laplace(size=(400, K)),
        lambda r: r.standard_t(5, (400, K)),
        lambda r: r.uniform(-1, 1, (400, K)),
        lambda r: np.maximum(r.laplace(size=(400, K)), 0),
    ],
    ids=["normal", "laplace", "t", "uniform", "relu"],
)
@pytest.mark.parametrize("size", [1, 1e-3, 1e12, 1e-12])
def test_least_squares(draw, size, tmp_path):
    """The range is nearly as good as the best, and never worse than the largest."""
    samples = (draw(np.random.default_rng(1)) * size).astype(np.float32)
    layer = scale_of(samples, tmp_path)
    widest = scale_of(samples, tmp_path, "int8:row:nearest:a8s")
    chosen = clipped_error(samples, layer, 1)
    assert chosen <= 1.001 * clipped_error(samples, widest, 1)
    if 1e-6 < size < 1e6:
        best = min(clipped_error(samples, widest, 2 ** (-i / 16)) for i in range(60))
        assert chosen < 1.12 * best


def test_few_that_are_large(tmp_path):
    """One channel that is large matters to outputs, and is not cut off."""
    samples = with_outliers(64, seed=2)
    layer = scale_of(samples, tmp_path)
    assert layer["activation_scale"] * 127 > 0.8 * np.max(np.abs(samples))


def test_samples_are_merged(tmp_path):
    """Ranges and counts of all samples count, one by one or at once."""
    samples = np.maximum(normal(64, K), -0.3) * np.linspace(0.1, 3, 64, dtype=np.float32)[:, None]
    layers = [
        compiled(product(normal(K, 32)), "int8:row:a8s", x, tmp_path)[1]
        for x in (samples, samples.reshape(16, 4, K))
    ]
    assert layers[0]["activation_scale"] == pytest.approx(layers[1]["activation_scale"], rel=1e-5)
    assert layers[0]["activation_zero"] == layers[1]["activation_zero"] < -90


# With what else samples are for


@pytest.mark.parametrize(
    "more, part",
    [("smooth", 0.8), ("outliers", 0.5), ("smooth:outliers20", 0.5), ("gptq:outliers", 0.5)],
)
def test_large_channels(more, part):
    weight, x = normal(K, N), with_outliers(300, seed=1)
    samples = {"x": with_outliers(64, seed=2)}

    def error(rules):
        model = lutra.compile(product(weight), quantize=rules, calibrate=samples)
        return relative(model(x)["y"], x @ weight)

    assert error(f"int8:row:a8s:{more}") < part * error("int8:row:a8s")


@pytest.mark.parametrize("shift", [0, 2])
def test_outliers_are_exact(shift, tmp_path):
    """With a zero point too, whose sums have the columns that stay as 0."""
    weight, samples = normal(K, N), with_outliers(64, seed=2) + np.float32(shift)
    model, layer = compiled(product(weight), "int4:a8s:outliers20", samples, tmp_path)
    options = {"quantize": "int4:outliers20", "calibrate": {"x": samples}}
    known = decoded(lutra.compile(product(weight), **options), K)
    x = with_outliers(5, seed=3) + np.float32(shift)
    numbers = rounded(x, layer)
    large = [3, 70, 71, 200]
    numbers[:, large] = x[:, large]
    np.testing.assert_allclose(model(x)["y"], numbers @ known, rtol=1e-4, atol=3e-3)


def test_convolutions_have_no_channels(tmp_path):
    """Samples choose no more than the scale of a convolution."""
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    x = normal(2, 32, 6, 6)
    onnx.save(convolution(normal(64, 32, 3, 3), x.shape), path)
    np.savez(data, x=x)
    done, layers = report_of(path, tmp_path, "--quantize=int8:a8s:smooth", f"--calibrate={data}")
    said = "is a convolution, of which samples choose no more than a scale, got 'int8:a8s:smooth'"
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert layers["conv"]["activation_scale"] > 0


# The report, and what is wrong


def test_report(tmp_path):
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(product(normal(K, N)), path)
    for low, sums in ((-9, 0), (0, 4 * N)):
        np.savez(data, x=np.maximum(normal(64, K), low))
        _, layers = report_of(path, tmp_path, "--quantize=int8:row:a8s", f"--calibrate={data}")
        assert layers["layers.0/proj"]["quantized_bytes"] == K * N + 2 * N + sums
    done = lutra_compile(
        path, "-o", tmp_path / "m.so", "--quantize=int8:row:a8s", f"--calibrate={data}",
        "--report=quantization",
    )  # fmt: skip
    assert re.search(r"int8, groups of 256, activations a8s of scale 0\.0\d+ and zero point -128, ", done.stdout)


def test_formats_without_integers(tmp_path):
    said = refused(tmp_path, 2, rules="nf4:a8s")
    assert "expected activations a32 for nf4, whose numbers are not integers, got 'nf4:a8s'" in said


def test_needs_samples(tmp_path):
    said = refused(tmp_path, 2, rules="int8:row:a8s")
    assert "'int8:row:a8s' needs samples of the model's inputs, --calibrate=FILE.npz" in said


def test_other_machines(tmp_path):
    """Samples are run on this one."""
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(product(normal(K, N)), path)
    np.savez(data, x=np.maximum(normal(32, K), 0))
    lutra_compile(
        path, "-o", tmp_path / "m.o", "--quantize=int4:a8s", f"--calibrate={data}",
        "--mtriple=aarch64-linux-gnu", "--mcpu=neoverse-v2",
    )  # fmt: skip


def test_writes_numerals(numerals, tmp_path):
    path = tmp_path / "q.so"
    lutra_compile(
        numerals, "-o", path, "--state=past_key_values.*:present.*:max=48", "--quantize=int8:row:a8s",
        *(f"--calibrate={file}" for file in sample_files(tmp_path, range(100, 200), True)),
    )  # fmt: skip
    check_numerals(path)
