# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""--quantize: float models whose weights become codes of few bits when they are
compiled. A product with the identity gives what the codes stand for."""

import json

import lutra
import numpy as np
import onnx
import pytest
from conftest import MODELS, lutra_compile, run_tool
from float_products import FORMATS, VECTORS, K, N, decoded, layers_of, normal, perceptron, product, relative
from Models.roman import roman
from onnx import helper


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name, tmp_path):
    weight = normal(K, N)
    path, report = tmp_path / "m.onnx", tmp_path / "r.json"
    onnx.save(product(weight), path)
    model = lutra.compile(path, quantize=name, report=f"quantization:{report}")
    got = decoded(model, K)
    assert 0.1 * FORMATS[name] < relative(got, weight) < FORMATS[name]
    # The report says the same, and all that lies in the artifact.
    (layer,) = json.loads(report.read_text())["products"]
    assert layer["format"] == name
    assert layer["nodes"] == "layers.0/proj" and layer["weight"] == "w"
    assert layer["relative_error"] == pytest.approx(relative(got, weight), rel=1e-3)
    # Other rows than those of the identity.
    x = normal(7, K, seed=1)
    np.testing.assert_allclose(model(x)["y"], x @ got, rtol=1e-4, atol=1e-4)


# What the formats' definitions say their numbers are, of a group whose scale is 1.
NUMBERS = {
    "posit4": [0, 1 / 16, 1 / 4, 1 / 2, 1, 2, 4],
    "pot3": [0, 1, 2, 4],
    "pot4": [0, 1 / 4, 1 / 2, 1, 2, 4, 8, 16],
    "posit8": [1 / 64, 1 / 32, 3 / 64, 1 / 2, 33 / 64, 1, 33 / 32, 15 / 8, 2],
    "mxfp6": [0, 1 / 8, 7 / 8, 1, 9 / 8, 15 / 8, 2, 15 / 4, 4, 13 / 2, 15 / 2],
    "mxfp6e3m2": [0, 1 / 16, 3 / 16, 1 / 4, 7 / 16, 3, 20, 28],
    "mxfp8": [0, 1 / 512, 7 / 512, 1 / 64, 15 / 8, 208, 416, 448],
    "mxfp8e5m2": [0, 2**-16, 3 * 2**-16, 2**-14, 1.75, 49152, 57344],
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name):
    """Weights that are numbers of the format stay as they are, where each group has the
    one that the largest is taken for."""
    numbers = np.float32(NUMBERS[name])
    weight = np.random.default_rng(0).choice([*numbers, *-numbers], (128, 64))
    weight[::32] = numbers[-1]
    got = decoded(lutra.compile(product(weight), quantize=f"{name}:nearest"), 128)
    np.testing.assert_array_equal(got, weight)


@pytest.mark.parametrize("group", [1, 7, 16, 32, 64, 128, 200, 1000, "row"])
def test_groups(group):
    """Any size of groups, also one that does not divide a row."""
    weight = normal(K, N, seed=2)
    spec = "int8:nearest:" + ("row" if group == "row" else f"g{group}")
    got = decoded(lutra.compile(product(weight), quantize=spec), K)
    # A step, since the largest number is missing on one side, and what rounding a
    # scale to 8 bits moves that number.
    size = K if group == "row" else min(group, K)
    for start in range(0, K, size):
        part = slice(start, start + size)
        step = np.abs(weight[part]).max(axis=0) / 128
        assert np.all(np.abs(got[part] - weight[part]) <= 1.51 * step)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_trellis_beats_integers(bits, tmp_path):
    """Longer rows come near what is possible at all, 2^-bits for a mean square of 1."""
    path = tmp_path / "m.onnx"
    onnx.save(product(normal(1024, 64, seed=1)), path)
    (trellis,) = layers_of(path, f"trellis{bits}", tmp_path).values()
    (integers,) = layers_of(path, f"int{bits}", tmp_path).values()
    assert trellis["bits_per_weight"] == integers["bits_per_weight"]
    assert 2**-bits < trellis["relative_error"] < [0.27, 0.14, 0.074][bits - 2]
    assert trellis["relative_error"] < 0.92 * integers["relative_error"]


@pytest.mark.parametrize("name", ["bcq1", "bcq3", "trellis2", "trellis3", "trellis4:row", "vptq2:row",
                                  "aqlm2:g64", "aqlm3:g32"])  # fmt: skip
def test_unusual_magnitudes(name):
    """Groups of zeros stay so, beside others; numbers may be as large or small as floats."""
    weight = normal(256, 64, seed=3)
    weight[64:, 0] = 0
    weight[:, 1] = 0
    weight[:, 2] *= 1e37
    weight[:, 3] *= 1e-30
    weight[:, 4] = 1
    weight[0:128, 5] *= 1e-6
    got = decoded(lutra.compile(product(weight), quantize=name), 256)
    assert np.isfinite(got).all()
    assert not got[:, 1].any() and (":row" in name or not got[128:, 0].any())
    for column in (2, 3, 5):
        assert relative(got[:, column], weight[:, column].astype(np.float64)) < 0.7
    if name.startswith("bcq"):
        np.testing.assert_allclose(got[:, 4], 1, rtol=0.01)


def test_sums_of_scales():
    """Weights that are sums of two scales lose next to nothing, also to more planes."""
    random = np.random.default_rng(0)
    signs = random.choice([-1.0, 1.0], (2, 256, 64)).astype(np.float32)
    weight = 2 * signs[0] + 0.5 * signs[1]
    for name in ("bcq2", "bcq3", "bcq4"):
        got = decoded(lutra.compile(product(weight), quantize=name), 256)
        assert relative(got, weight) < 0.01


def test_few_vectors():
    """As many different vectors as a codebook has lose next to nothing."""
    weight = np.random.default_rng(0).choice([-1.0, 1.0], (256, 64)).astype(np.float32)
    got = decoded(lutra.compile(product(weight), quantize="vptq2"), 256)
    np.testing.assert_allclose(got, weight, rtol=0.01)


@pytest.mark.parametrize("name, most", VECTORS.items())
def test_vectors(name, most, tmp_path):
    """What codebooks lose where they are a small part of the weight, and what it takes:
    fitted jointly, those of a format of several lose less."""
    path = tmp_path / "m.onnx"
    onnx.save(product(normal(512, 512, seed=1)), path)
    (together,) = layers_of(path, f"{name}:mse", tmp_path).values()
    (alone,) = layers_of(path, f"{name}:nearest", tmp_path).values()
    assert 2.0 ** -int(name[-1]) < together["relative_error"] < most
    if name not in ("aqlm1", "vptq2"):  # which have one codebook
        assert together["relative_error"] < 0.96 * alone["relative_error"]
    codebook = {"vptq2": 1024, "vptq3": 512, "aqlm2": 4096}.get(name, 2048)
    assert together["quantized_bytes"] == 512 * 512 * int(name[-1]) // 8 + 2 * 512 + codebook


def test_nearest_has_the_largest_exactly():
    weight = normal(64, 64, seed=3)
    got = decoded(lutra.compile(product(weight), quantize="int4:nearest"), 64)
    for start in (0, 32):
        part = weight[start : start + 32]
        place = np.abs(part).argmax(axis=0)
        columns = np.arange(64)
        np.testing.assert_allclose(
            got[start + place, columns], part[place, columns], rtol=2**-8
        )


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(transposed):
    weight = normal(*((N, K) if transposed else (K, N)), seed=4)
    model = lutra.compile(product(weight, transB=transposed), quantize="int8")
    exact = weight.T if transposed else weight
    assert relative(decoded(model, K), exact) < FORMATS["int8"]


@pytest.mark.parametrize("level", ["native", "x86-64-v3", "x86-64"])
@pytest.mark.parametrize(
    "name", ["int4", "uint4", "int8:row", "ternary", "uint2:g16", "bcq3", "bcq2:g20", "trellis2",
             "trellis3:g64", "trellis4:row", "aqlm2", "vptq3:g32", "aqlm1:g64", "iq4", "mxfp4", "nvfp4", "pot3"],
)  # fmt: skip
def test_integer_activations(name, level):
    """With :a8 x is rounded to 8 bits, which costs little more."""
    weight, x = normal(K, N, seed=5), normal(9, K, seed=6)
    floats = lutra.compile(product(weight), quantize=name, mcpu=level)(x)["y"]
    integers = lutra.compile(product(weight), quantize=f"{name}:a8", mcpu=level)(x)["y"]
    assert 0 < relative(integers, floats) < 0.02


@pytest.mark.parametrize("dtype", [np.float16, "bfloat16"])
def test_halves(dtype):
    """Weights and activations of 16 bits are quantized from what they are in f32."""
    import ml_dtypes

    dtype = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    weight, x = normal(K, N, seed=7).astype(dtype), normal(5, K, seed=8).astype(dtype)
    node = helper.make_node("MatMul", ["x", "w"], ["y"], "proj")
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info("x", kind, ["batch", K])],
        [helper.make_tensor_value_info("y", kind, ["batch", N])],
        [helper.make_tensor("w", kind, [K, N], weight.tobytes(), raw=True)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    got = lutra.compile(model, quantize="int8")(x)["y"].astype(np.float32)
    expected = x.astype(np.float32) @ weight.astype(np.float32)
    assert relative(got, expected) < 0.01


# The samples


@pytest.mark.parametrize(
    "rules, right",
    [("int8", 16), ("int4", 15), ("int4:a8", 15), ("nf4", 15), ("mxfp4", 14),
     ("nvfp4", 14), ("fp8", 16), ("uint4:g16", 15), ("iq4:a8", 15), ("bcq4:a8", 14),
     ("trellis4:a8", 15), ("int2:a8 looked up", 14)],
)  # fmt: skip
def test_writes_numerals(numerals, tmp_path, rules, right):
    """The language model still writes nearly all numerals."""
    path, report = tmp_path / "q.so", tmp_path / "kernels"
    rules, *looks = rules.split(maxsplit=1)
    lutra_compile(
        numerals, "-o", path, "--state=past_key_values.*:present.*:max=48", f"--quantize={rules}",
        f"--report=kernels:{report}", f"--lookups={'always' if looks else 'auto'}",
    )  # fmt: skip
    assert not looks or "mpgemm.matmul tables" in report.read_text()
    numbers = np.random.default_rng(5).integers(1, 4000, 16)
    count = 0
    for number in numbers:
        done = run_tool(
            "lutra-run", path, f"--generate={number}=", "--max-tokens=20",
            f"--tokenizer={MODELS / 'tokenizer.json'}",
        )  # fmt: skip
        count += done.stdout == roman(int(number)) + "\n"
    assert count >= right


def test_artifact_is_smaller(numerals, tmp_path):
    sizes = []
    for options in ([], ["--quantize=int4"]):
        path = tmp_path / f"m{len(options)}.so"
        lutra_compile(numerals, "-o", path, *options)
        sizes.append(path.with_suffix(".weights").stat().st_size)
    assert sizes[1] < 0.25 * sizes[0]


# Accuracy


def test_against(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(perceptron(), path)
    for name, options in {"exact": [], "quantized": ["--quantize=int8"]}.items():
        lutra_compile(path, "-o", tmp_path / f"{name}.so", *options)
    done = run_tool(
        "lutra-run", tmp_path / "quantized.so", f"--against={tmp_path / 'exact.so'}",
        "--dim=batch:16",
    )  # fmt: skip
    line = done.stdout.strip()
    assert line.startswith("output 'y': largest error ")
    assert float(line.split("relative RMS error ")[1].split(" %")[0]) < 2
    same, rows = line.split("the same largest element in ")[1].split(" of ")
    assert rows == "16 rows" and int(same) >= 14
    done = run_tool(
        "lutra-run", tmp_path / "exact.so", f"--against={tmp_path / 'exact.so'}"
    )
    assert done.stdout == (
        "output 'y': largest error 0, relative RMS error 0 %, the same largest "
        "element in 1 of 1 row\n"
    )


def test_check_accuracy():
    x = normal(32, 64, seed=9)
    close = lutra.check_accuracy(perceptron(), "int8", {"x": x})["y"]
    far = lutra.check_accuracy(perceptron(), "int2", {"x": x})["y"]
    assert 0 < close.relative < 0.02 < far.relative < 1
    assert close.agreement > 0.9
    assert lutra.check_accuracy(perceptron(), "none")["y"] == (0, 0, 1, 1)


def test_deviation():
    expected = np.array([[3, 4, 0], [0, np.nan, 1]])
    assert lutra.deviation(expected, expected) == (0, 0, 1, 5 / 6)
    got = lutra.deviation(np.array([[3.0, 4], [0, 0]]), np.array([[5.0, 4], [0, 0]]))
    assert got == pytest.approx((2, 0.4, 0.5, 1))
    assert lutra.deviation(np.float32(1), np.float32(np.nan)).largest == np.inf


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(wrong, tmp_path):
    weight = normal(K, N)
    weight[70, 5] = wrong
    path = tmp_path / "m.onnx"
    onnx.save(product(weight), path)
    for options in (["int4"], ["int4", "--report=quantization"], ["auto:4"]):
        done = lutra_compile(
            path, "-o", tmp_path / "m.so", f"--quantize={options[0]}", *options[1:], expect=3
        )
        assert "weight 'w': expected finite numbers to quantize, got " in done.stderr
        assert "for input 70 of output 5" in done.stderr
        assert not (tmp_path / "m.so").exists()
