# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""--quantize with arc: input channels that are large are rounded twice, the second time
what the first rounding left (ARCQuant), in groups of codes behind the others."""

import lutra
import numpy as np
import onnx
import pytest
from calibration import (
    K, N, check_transposed, error_of_codes, outputs_error, refused, report_of, with_outliers,
)  # fmt: skip
from conftest import lutra_compile
from float_products import decoded, normal, product, relative

LARGE = [3, 70, 71, 200]
SAMPLES = {"x": with_outliers(64, seed=2)}


def rounded(x, size):
    """x with each group of a row rounded to 8 bits."""
    groups = np.pad(x, [(0, 0), (0, -x.shape[1] % size)]).reshape(len(x), -1, size)
    most = np.maximum(np.max(np.abs(groups), axis=-1, keepdims=True), np.float32(1e-30))
    codes = np.rint(groups * (np.float32(127) / most))
    return (codes * (most / np.float32(127))).reshape(len(x), -1)[:, : x.shape[1]]


@pytest.mark.parametrize("level", ["native", "x86-64-v3", "x86-64"])
@pytest.mark.parametrize(
    "rules, size", [("int6", 32), ("int7:g20", 20), ("uint8:g40", 40), ("int8:g3", 3), ("int6:g256", 256)],
)  # fmt: skip
def test_products(rules, size, level):
    """All is known from what the codes stand for, and rows of any number are right."""
    weight = normal(K, N)
    model = lutra.compile(product(weight), quantize=f"{rules}:a8:arc", calibrate=SAMPLES, mcpu=level)
    # A row with a single 1 is exact.
    known = decoded(model, K)
    assert relative(known, weight) < 0.15
    for rows in (1, 7, 40):
        x = with_outliers(rows, seed=rows)
        large, others = x[:, LARGE], x.copy()
        others[:, LARGE] = 0
        once = rounded(large, size)
        twice = once + rounded(large - once, size)
        exact = rounded(others, size) @ known + twice @ known[LARGE]
        assert relative(model(x)["y"], exact) < 2e-4


@pytest.mark.parametrize("name, part", [("int8:g128", 0.25), ("int8", 0.4), ("int6", 0.8)])
def test_errors(name, part):
    weight, x = normal(K, N), with_outliers(300, seed=1)
    plain, arc = (outputs_error(weight, f"{name}:a8{more}", SAMPLES, x) for more in ("", ":arc"))
    assert arc < part * plain


@pytest.mark.parametrize("name", ["int4", "uint4:g64", "nvfp4", "mxfp4"])
def test_where_weights_lose_more(name):
    """What codes lose by groups of their own may be more than inputs win: nothing changes."""
    weight, x = normal(K, N), with_outliers(300, seed=1)
    plain, arc = (outputs_error(weight, f"{name}:a8{more}", SAMPLES, x) for more in ("", ":arc"))
    assert arc <= 1.002 * plain


def test_with_smooth():
    weight, x = normal(K, N), with_outliers(100, seed=1)
    assert outputs_error(weight, "int8:a8:arc:smooth", SAMPLES, x) < 0.01


def test_report(tmp_path):
    """What is stored twice counts twice."""
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(product(normal(K, N)), path)
    np.savez(data, **SAMPLES)
    for setting in ("arc", "arc2", "arc64"):
        done, layers = report_of(
            path, tmp_path, f"--quantize=int8:a8:{setting}", f"--calibrate={data}"
        )
        layer = layers["layers.0/proj"]
        # As many as are large, no more than asked for.
        assert layer["channels_twice"] == (2 if setting == "arc2" else 4)
        assert layer["channels_kept"] == 0
        assert layer["quantized_bytes"] == (K + 2 * 32) * N + 2 * (K // 32 + 2) * N
        assert layer["relative_error"] == pytest.approx(
            error_of_codes(tmp_path / "m.so", SAMPLES["x"], normal(K, N)), rel=1e-2
        )
    done = lutra_compile(
        path, "-o", tmp_path / "m.so", "--quantize=int8:a8:arc", f"--calibrate={data}",
        "--report=quantization",
    )  # fmt: skip
    assert "activations of 8 bits, 4 input channels rounded twice, 10." in done.stdout


def test_where_none_is_large(tmp_path):
    """No more than an eighth of the channels."""
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(product(normal(K, N)), path)
    np.savez(data, x=normal(64, K))
    _, layers = report_of(path, tmp_path, "--quantize=int8:a8:arc", f"--calibrate={data}")
    assert layers["layers.0/proj"]["channels_twice"] <= K // 8


def test_transposed_model():
    check_transposed("int8:a8:arc")


def test_not_finite():
    """A NaN or an infinity makes its row NaN, also where channels are rounded twice."""
    model = lutra.compile(product(normal(K, N)), quantize="int8:a8:arc", calibrate=SAMPLES)
    x = with_outliers(4, seed=3)
    x[0, 3], x[1, 200], x[2, 5] = np.nan, np.inf, np.nan
    y = model(x)["y"]
    assert np.all(np.isnan(y[:3])) and np.all(np.isfinite(y[3]))


@pytest.mark.parametrize(
    "rules, said",
    [
        ("int4:arc", "expected activations a8 with arc, got 'int4:arc'"),
        ("int4:a8s:arc", "expected activations a8 with arc, got 'int4:a8s:arc'"),
        ("int3:a8:arc", "expected a format of 4 bits or more, a number for each code, with arc"),
        ("bcq4:a8:arc", "expected a format of 4 bits or more, a number for each code, with arc"),
        ("auto:4:a8:arc", "expected a format of 4 bits or more, a number for each code, with arc"),
        ("int4:row:a8:arc", "expected groups of 1 to 4096 weights with arc"),
        ("int4:g5000:a8:arc", "expected groups of 1 to 4096 weights with arc"),
        ("int4:a8:gptq:arc", "expected neither gptq nor outliers with arc"),
        ("int4:a8:arc:outliers", "expected neither gptq nor outliers with arc"),
        ("int4:a8:arc0", "got 'arc0'"),
        ("int4:a8:arc-1", "got 'arc-1'"),
        ("int4:a8:arcx", "got 'arcx'"),
        ("int4:a8:arc", "'int4:a8:arc' needs samples of the model's inputs, --calibrate=FILE.npz"),
    ],
)  # fmt: skip
def test_bad_rules(rules, said, tmp_path):
    assert said in refused(tmp_path, 2, rules=rules)
