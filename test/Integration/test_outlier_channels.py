# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""--quantize with smooth and outliers: channels of large magnitude, which samples tell,
are divided between weights and inputs, or stay f32."""

import lutra
import numpy as np
import onnx
from calibration import K, N, check_transposed, outputs_error, report_of, with_outliers
from float_products import decoded, normal, product, relative


def test_smooth():
    """Rounding rows to 8 bits costs less, if weights take over some of what is
    large."""
    weight, x = normal(K, N), with_outliers(300, seed=1)
    samples = {"x": with_outliers(64, seed=2)}
    rough = outputs_error(weight, "int8:row:a8", samples, x)
    assert outputs_error(weight, "int8:row:a8:smooth", samples, x) < 0.7 * rough
    # All that is left is what weights lose.
    got = lutra.compile(product(weight), quantize="int8:row:smooth", calibrate=samples)
    assert relative(got(x)["y"], x @ weight) < 0.02


def test_smooth_where_it_helps():
    """Channels that are alike, or weights that take it ill, stay as they are."""
    samples = {"x": normal(64, K, seed=2)}
    text = lutra.ir(
        product(normal(K, N)), "quantize", quantize="int4:a8:smooth", calibrate=samples
    )
    assert "factors" not in text
    # Where only weights are rounded, it costs these more than it brings.
    weight, x = normal(K, N), with_outliers(300, seed=1)
    samples = {"x": with_outliers(64, seed=2)}
    for rules in ("int4", "int3:a8", "nf4"):
        plain = outputs_error(weight, rules, samples, x)
        assert outputs_error(weight, f"{rules}:smooth", samples, x) < 1.01 * plain


def test_outliers():
    """Some channels stay f32, exactly."""
    weight, x = normal(K, N), with_outliers(300, seed=1)
    samples = {"x": with_outliers(64, seed=2)}
    # Codebooks have room for what counts more.
    for name, most in {"int8:row:a8": 0.5, "uint4:a8": 0.5, "int4": 0.5, "nf4": 0.5,
                       "vptq4": 0.8, "aqlm2:a8": 0.8}.items():  # fmt: skip
        without = outputs_error(weight, name, samples, x)
        assert outputs_error(weight, f"{name}:outliers", samples, x) < most * without
    model = lutra.compile(product(weight), quantize="int4:outliers20", calibrate=samples)
    kept = np.all(decoded(model, K) == weight, axis=1)
    assert np.flatnonzero(kept).tolist() == [3, 70, 71, 200]


def test_transposed_model():
    check_transposed("int8:outliers20:smooth:a8")


def test_ir():
    """What samples say is part of the weight, and inputs are divided where that
    changes a number."""
    samples = {"x": with_outliers(64, seed=1)}

    def ir(rules):
        return lutra.ir(
            product(normal(K, N)), "quantize", quantize=rules, calibrate=samples
        )

    text = ir("int8:a8:outliers20")
    assert 'part = "rest", format = "int8", group = 32, method = "mse", factors = ' in text
    assert f"tensor<{N}x4xf32>" in text and "tensor.extract" in text
    assert "moments = {" in text
    # Zeros for what stays; with activations in f32 codes of 0 are enough.
    assert text.count("arith.mulf") == 2
    assert ir("int8:outliers20").count("arith.mulf") == 1
    assert ir("int8:row:a8:smooth").count("arith.mulf") == 1
    assert "factors" not in ir("int8:outliers1000")


def test_outliers_in_the_report(tmp_path):
    path, data = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(product(normal(K, N)), path)
    np.savez(data, x=with_outliers(64, seed=1))
    _, layers = report_of(path, tmp_path, "--quantize=int4:outliers20", f"--calibrate={data}")
    layer = layers["layers.0/proj"]
    assert layer["quantized_bytes"] == K * N // 2 + 2 * K * N // 32 + 4 * 4 * N
    assert layer["channels_kept"] == 4
    # No more than an eighth of the channels.
    _, layers = report_of(path, tmp_path, "--quantize=int4:outliers0.1", f"--calibrate={data}")
    assert layers["layers.0/proj"]["channels_kept"] == K // 8
