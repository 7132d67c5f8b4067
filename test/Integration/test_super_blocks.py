# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""--quantize with scales of 8 bits: integers times one of a super-block, powers of two,
and E4M3."""

import json

import lutra
import numpy as np
import onnx
import pytest
from conftest import lutra_compile
from float_products import decoded, normal, product, relative

K, N = 512, 40


def quantize(weight, rules, folder, **options):
    """What codes stand for, and what the report says of them."""
    path, report = folder / "m.onnx", folder / "r.json"
    onnx.save(product(weight), path)
    model = lutra.compile(path, quantize=rules, report=f"quantization:{report}", **options)
    (layer,) = json.loads(report.read_text())["products"]
    return decoded(model, weight.shape[0]), layer


@pytest.mark.parametrize("rules", [
    "int4", "int4:g16", "int3:nearest", "uint3", "int2:a8", "nf4", "iq4:g16", "ternary", "posit4",
    "int8:g128", "fp8:g64", "trellis2", "trellis3:a8", "bcq2:g64", "bcq3", "vptq3:g64", "aqlm2:g32:a8",
])  # fmt: skip
def test_little_is_lost(rules, tmp_path):
    weight = normal(K, N) * np.exp(normal(1, N, seed=3) * 3)
    plain, full = quantize(weight, rules, tmp_path)
    small, layer = quantize(weight, f"{rules}:s256", tmp_path)
    assert layer["super_block"] == 256 and full["super_block"] == 0
    assert not np.array_equal(small, plain)
    # With the largest weight exact, scales that are too small clip it.
    most = 1.05 if "nearest" in rules else 1.02
    assert relative(small, weight) < most * relative(plain, weight)
    if "a8" not in rules:
        assert layer["relative_error"] == pytest.approx(relative(small, weight), rel=1e-3)
    saved = full["bits_per_weight"] - layer["bits_per_weight"]
    planes = int(rules[3]) if rules.startswith("bcq") else 1
    assert saved == pytest.approx(planes * 8 / layer["group"] - 16 / 256)


@pytest.mark.parametrize("rules, bits", [
    ("int4:s256", 4 + 8 / 32 + 16 / 256), ("uint4:s64", 4 + 16 / 32 + 16 / 64),
    ("mxfp4", 4.25), ("mxfp6", 6.25), ("mxfp8", 8.25), ("nvfp4", 4.5 + 16 / K),
])  # fmt: skip
def test_bits(rules, bits, tmp_path):
    _, layer = quantize(normal(K, N), rules, tmp_path)
    assert layer["bits_per_weight"] == pytest.approx(bits)


@pytest.mark.parametrize("k", [1, 16, 17, 64, 65, 96, 200, 321])
def test_blocks_of_rows_of_any_length(k, tmp_path):
    """The last block has fewer groups, and the last group fewer weights."""
    weight = normal(k, 256 + 4096 // k, seed=k)
    got, _ = quantize(weight, "int8:g16:s64", tmp_path)
    assert relative(got, weight) < 0.01
    x = normal(5, k, seed=1)
    model = lutra.compile(product(weight), quantize="int8:g16:s64:a8")
    assert relative(model(x)["y"], x @ weight) < 0.02


def test_magnitudes_that_differ(tmp_path):
    """Groups that are nothing beside others of their block are 0, and blocks do not
    touch each other."""
    weight = normal(K, N)
    weight[32:64] *= 1e-4
    weight[128:256] *= 1e-30
    weight[256:384] *= 1e30
    weight[384:] = 0
    got, _ = quantize(weight, "int8:s128", tmp_path)
    assert np.all(np.isfinite(got))
    assert np.all(got[32:64] == 0) and np.all(got[384:] == 0)
    for part in (slice(64, 128), slice(128, 256), slice(256, 384)):
        assert relative(got[part].astype(np.float64), weight[part].astype(np.float64)) < 0.01


def test_halved_groups(tmp_path):
    weight = normal(K, N)
    weight[::16] *= 8
    _, layer = quantize(weight, "int4:g128:s256:e9%", tmp_path)
    assert layer["group"] < 128 and layer["super_block"] == 256


def test_weights_make_up_for_others(tmp_path):
    """gptq, whose groups are fitted after their super-scale is chosen."""
    weight, mix = normal(K, N), normal(K // 4, K, seed=9)
    x, unseen = (normal(300, K // 4, seed=s) @ mix + 0.3 * normal(300, K, seed=s + 5) for s in (1, 2))
    errors = []
    for rules in ("int3:g64:gptq", "int3:g64:s256:gptq", "int3:g64:s256"):
        model = lutra.compile(product(weight), quantize=rules, calibrate={"x": x})
        errors.append(relative(model(unseen)["y"], unseen @ weight))
    assert errors[1] < 1.03 * errors[0] and errors[1] < 0.9 * errors[2]


@pytest.mark.parametrize("rules, said", [
    ("int4:s48", "expected super-blocks of a multiple of the weights of a group, got 'int4:s48'"),
    ("int4:row:s64", "expected super-blocks of a multiple of the weights of a group"),
    ("auto:4:s48", "expected super-blocks of a multiple of the weights of a group"),
    ("mxfp4:s64", "expected no super-blocks for mxfp4, got 'mxfp4:s64'"),
    ("int4:s0", "sN for super-blocks of N weights"),
    ("int4:sixty", "got 'sixty' in 'int4:sixty'"),
])  # fmt: skip
def test_bad_rules(rules, said, tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(product(normal(K, N)), path)
    done = lutra_compile(path, "-o", tmp_path / "m.so", f"--quantize={rules}", expect=2)
    assert said in done.stderr and done.stderr.count("\n") == 1
