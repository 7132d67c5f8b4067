# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""--calibrate: quantization that goes by samples of a model's inputs. What it is to
make better is the error of outputs for inputs that it has not seen."""

import lutra
import numpy as np
import onnx
import pytest
from calibration import (
    K, N, check_numerals, error_of_codes, numeral_samples, outputs_error, refused, report_of,
    sample_files, unequal,
)  # fmt: skip
from conftest import lutra_compile
from onnx import helper
from float_products import decoded, model_of, normal, perceptron, product, relative


# What samples are for


@pytest.mark.parametrize("name", ["int3", "int4:row", "uint4", "nf4", "mxfp4", "nvfp4", "ternary",
                                  "vptq3", "aqlm2:g64"])  # fmt: skip
def test_channels_that_count_more(name):
    """Scales are chosen for the error of outputs, not of weights."""
    weight, x = normal(K, N), unequal(500, seed=1)
    samples = {"x": unequal(64, seed=2)}
    blind = outputs_error(weight, name, None, x)
    # Powers of two leave little to choose.
    most = 0.97 if name == "mxfp4" else 0.93
    assert outputs_error(weight, name, samples, x) < most * blind


def test_equal_channels_change_nothing():
    weight = normal(K, N)
    samples = {"x": np.ones((4, K), np.float32)}
    model = lutra.compile(product(weight), quantize="int4", calibrate=samples)
    blind = lutra.compile(product(weight), quantize="int4")
    np.testing.assert_allclose(decoded(model, K), decoded(blind, K), atol=1e-6)


def test_channels_without_samples():
    """A channel that is always 0 in samples is quantized nevertheless."""
    weight, x = normal(K, N), unequal(64, seed=1)
    x[:, ::2] = 0
    for rules in ("int4", "int4:gptq"):
        model = lutra.compile(product(weight), quantize=rules, calibrate={"x": x})
        assert relative(decoded(model, K), weight) < 0.5
        model = lutra.compile(product(weight), quantize=rules, calibrate={"x": 0 * x})
        assert relative(decoded(model, K), weight) < 0.1


@pytest.mark.parametrize("rules", ["bcq2", "bcq2:outliers20", "trellis3", "trellis3:smooth:outliers20",
                                   "aqlm2:outliers20", "vptq3:g32:smooth"])  # fmt: skip
def test_report_of_rows(rules, tmp_path):
    """Formats in which a group is not quantized by itself are fitted as without samples, but
    for vectors."""
    weight, x = normal(K, N), unequal(64, seed=1)
    path, name = tmp_path / "m.onnx", rules.split(":")[0]
    onnx.save(product(weight), path)
    np.savez(tmp_path / "x.npz", x=x)
    _, layers = report_of(path, tmp_path, f"--quantize={rules}", f"--calibrate={tmp_path / 'x.npz'}")
    got = decoded(lutra.load(tmp_path / "m.so"), K)
    error = error_of_codes(tmp_path / "m.so", x, weight)
    assert layers["layers.0/proj"]["error_of"] == "outputs"
    assert layers["layers.0/proj"]["relative_error"] == pytest.approx(error, rel=1e-3)
    if rules == name:
        np.testing.assert_array_equal(got, decoded(lutra.compile(product(weight), quantize=name), K))


def test_report(tmp_path):
    """The error is that of outputs."""
    weight, x = normal(K, N), unequal(64, seed=1)
    path = tmp_path / "m.onnx"
    onnx.save(product(weight), path)
    np.savez(tmp_path / "x.npz", x=x)
    _, layers = report_of(path, tmp_path, "--quantize=int4", f"--calibrate={tmp_path / 'x.npz'}")
    layer = layers["layers.0/proj"]
    assert layer["error_of"] == "outputs" and layer["method"] == "mse"
    error = error_of_codes(tmp_path / "m.so", x, weight)
    assert layer["relative_error"] == pytest.approx(error, rel=1e-3)
    done = lutra_compile(
        path, "-o", tmp_path / "m.so", "--quantize=int4", f"--calibrate={tmp_path / 'x.npz'}",
        "--report=quantization",
    )  # fmt: skip
    assert "4.50 bits per weight, error of outputs " in done.stdout


def test_bits_go_where_outputs_need_them(tmp_path):
    """Two equal weights, of which one is multiplied with few inputs: a channel that
    alone has any is easy to serve."""
    weight = normal(K, N, seed=3)
    hard = weight.copy()
    hard[0] *= 30
    nodes = [
        helper.make_node("MatMul", ["a", "u"], ["ya"], "easy"),
        helper.make_node("MatMul", ["b", "v"], ["yb"], "hard"),
        helper.make_node("Add", ["ya", "yb"], ["y"], "sum"),
    ]
    model = model_of(
        nodes, {"u": hard, "v": hard.copy()}, {"a": ["batch", K], "b": ["batch", K]},
        {"y": ["batch", N]},
    )  # fmt: skip
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(model, path)
    a, b = normal(64, K, seed=1), normal(64, K, seed=2)
    # In b the large weights do not count.
    b[:, 0] = 0
    np.savez(data, a=a, b=b)
    _, layers = report_of(path, tmp_path, "--quantize=auto:4.1:row:nearest", f"--calibrate={data}")
    assert int(layers["hard"]["format"][3:]) > int(layers["easy"]["format"][3:])


# The form of samples


def test_samples_are_added_up(tmp_path):
    """One array, samples along a dimension in front, or files: it is all the same."""
    weight, x = normal(K, N), unequal(12, seed=1)
    path = tmp_path / "m.onnx"
    onnx.save(product(weight), path)
    np.savez(tmp_path / "all.npz", x=x)
    np.savez(tmp_path / "split.npz", x=x.reshape(4, 3, K))
    np.savez_compressed(tmp_path / "a.npz", x=x[:5])
    np.savez(tmp_path / "b.npz", x=np.asfortranarray(x[5:]))
    errors = []
    for files in (["all"], ["split"], ["a", "b"]):
        options = [f"--calibrate={tmp_path / f}.npz" for f in files]
        _, layers = report_of(path, tmp_path, "--quantize=int4", *options)
        errors.append(layers["layers.0/proj"]["relative_error"])
    assert errors == pytest.approx([errors[0]] * 3, rel=1e-5)


def test_products_behind_others(tmp_path):
    """Inputs of each product, with a weight that two read and another dtype."""
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(perceptron(), path)
    np.savez(data, x=normal(32, 64, seed=1))
    _, layers = report_of(path, tmp_path, "--quantize=int4", f"--calibrate={data}")
    assert layers["up"]["error_of"] == layers["head"]["error_of"] == "outputs"
    assert layers["tiny"]["reason"] == "fewer than 4096 weights"


def test_other_machines(tmp_path):
    """Samples are run on this one."""
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(product(normal(K, N)), path)
    np.savez(data, x=unequal(32, seed=1))
    lutra_compile(
        path, "-o", tmp_path / "m.o", "--quantize=int4", f"--calibrate={data}",
        "--mtriple=aarch64-linux-gnu", "--mcpu=neoverse-v2",
    )  # fmt: skip


def test_is_deterministic(tmp_path):
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(product(normal(K, N)), path)
    np.savez(data, x=unequal(32, seed=1))
    written = []
    for i in range(2):
        lutra_compile(path, "-o", tmp_path / f"{i}.so", "--quantize=int4:gptq", f"--calibrate={data}")
        written.append((tmp_path / f"{i}.weights").read_bytes())
    assert written[0] == written[1]


# What is wrong


@pytest.mark.parametrize(
    "arrays, said",
    [
        ({}, "expected an array for input 'x'"),
        ({"x": np.ones((2, K), np.float32), "z": np.ones(3)}, "no input is named 'z'"),
        ({"x": np.ones((2, K))}, "expected dtype float32, got float64"),
        ({"x": np.ones((2, K + 1), np.float32)}, str(K + 1)),
        ({"x": np.ones(K, np.float32)}, "rank"),
        ({"x": np.ones((1, 1, 2, K), np.float32)}, "rank"),
        ({"x": np.ones((0, 2, K), np.float32)}, "expected at least one sample, got none"),
        ({"x": np.full((2, K), np.nan, np.float32)},
         "the product 'layers.0/proj' reads numbers that are not finite"),
        ({"x": np.full((2, K), np.inf, np.float32)}, "reads numbers that are not finite"),
        ({"x": np.full((2, K), 1e30, np.float32)}, "or too large to be squared"),
    ],
)  # fmt: skip
def test_bad_samples(arrays, said, tmp_path):
    data = tmp_path / "x.npz"
    np.savez(data, **arrays)
    assert said in refused(tmp_path, 3, f"--calibrate={data}")


def test_samples_that_differ_in_number(tmp_path):
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    nodes = [
        helper.make_node("Add", ["x", "z"], ["s"], "sum"),
        helper.make_node("MatMul", ["s", "w"], ["y"], "proj"),
    ]
    inputs = {"x": ["batch", K], "z": ["batch", K]}
    onnx.save(model_of(nodes, {"w": normal(K, N)}, inputs, {"y": ["batch", N]}), path)
    x = normal(3, 2, K)
    np.savez(data, x=x, z=x[:2])
    options = ["-o", tmp_path / "m.so", "--quantize=int4", f"--calibrate={data}"]
    done = lutra_compile(path, *options, expect=3)
    assert "expected 3 samples for input 'z', got 2" in done.stderr
    # An array of the input's own shape is for all samples.
    np.savez(data, x=x, z=x[0])
    lutra_compile(path, *options)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"\x93NUMPY"])
def test_files_that_hold_no_arrays(content, tmp_path):
    data = tmp_path / "x.npz"
    data.write_bytes(content)
    assert "x.npz" in refused(tmp_path, 3, f"--calibrate={data}")


def test_files_that_are_damaged(tmp_path):
    data = tmp_path / "x.npz"
    np.savez(data, x=normal(4, K))
    whole = data.read_bytes()
    data.write_bytes(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:])
    assert "its checksum differs" in refused(tmp_path, 3, f"--calibrate={data}")


def test_no_file(tmp_path):
    assert "none.npz: " in refused(tmp_path, 4, f"--calibrate={tmp_path / 'none.npz'}")
    assert "expected a file, got a folder" in refused(tmp_path, 4, f"--calibrate={tmp_path}")


@pytest.mark.parametrize("rules", ["int4:gptq", "*x*=none;*=int8:smooth", "auto:4:outliers5"])
def test_rules_that_need_samples(rules, tmp_path):
    said = refused(tmp_path, 2, rules=rules)
    assert f"'{rules.split(';')[-1]}' needs samples of the model's inputs, --calibrate=FILE.npz" in said


@pytest.mark.parametrize("setting", ["smooth0", "smooth2", "smooth-1", "outliers0", "outliersx", "gptq2"])
def test_bad_settings(setting, tmp_path):
    said = refused(tmp_path, 2, rules=f"int4:{setting}")
    assert f"got '{setting}' in 'int4:{setting}'" in said


def test_nothing_to_quantize(tmp_path):
    data = tmp_path / "x.npz"
    np.savez(data, x=normal(4, K))
    said = refused(tmp_path, 2, f"--calibrate={data}", rules="*nothing*=int4")
    assert "expected a product that --quantize has a rule for, and found none" in said


def test_samples_need_rules(tmp_path):
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(product(normal(K, N)), path)
    np.savez(data, x=normal(4, K))
    done = lutra_compile(path, "-o", tmp_path / "m.so", f"--calibrate={data}", expect=2)
    assert "--calibrate needs --quantize and the phase 'quantize'" in done.stderr


def test_dumps_have_no_matrices(tmp_path):
    """What a dump refers to is gone, but for statistics that are small."""
    path, dump, data = tmp_path / "m.onnx", tmp_path / "m.mlir", tmp_path / "x.npz"
    onnx.save(product(normal(K, N)), path)
    np.savez(data, x=unequal(64, seed=1))
    for rules, code in (("int4:smooth:outliers", 0), ("int4:gptq", 4)):
        lutra_compile(
            path, "--compile-to=quantize", "-o", dump, f"--quantize={rules}", f"--calibrate={data}"
        )
        done = lutra_compile(
            dump, "--compile-from=quantize", "-o", tmp_path / "m.so", expect=code
        )
        assert code == 0 or "moments0" in done.stderr


# The sample


def test_language_model(numerals, tmp_path):
    """Logits of texts that samples do not have, by three bits."""
    numbers = np.random.default_rng(1).permutation(np.arange(1, 4000))
    samples = [str(file) for file in sample_files(tmp_path, numbers[:200], False)]
    past = {"past_sequence_length": (0, 32)}
    exact = lutra.compile(numerals, dim=past)

    def error(rules, **options):
        model = lutra.compile(numerals, quantize=rules, dim=past, **options)
        pairs = [
            (model(inputs)["logits"], exact(inputs)["logits"])
            for inputs in numeral_samples(numbers[200:400], False)
        ]
        return np.sqrt(np.mean([relative(got, expected) ** 2 for got, expected in pairs]))

    blind = error("int3")
    calibrated = error("int3", calibrate=samples)
    compensated = error("int3:gptq", calibrate=samples)
    assert calibrated < 0.95 * blind
    assert compensated < 0.85 * calibrated


def test_writes_numerals(numerals, tmp_path):
    """Samples are run with an empty state, as texts begin."""
    path = tmp_path / "q.so"
    lutra_compile(
        numerals, "-o", path, "--state=past_key_values.*:present.*:max=48",
        "--quantize=int4:gptq",
        *(f"--calibrate={file}" for file in sample_files(tmp_path, range(100, 200), True)),
    )  # fmt: skip
    check_numerals(path)
