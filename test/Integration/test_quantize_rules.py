# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The rules of --quantize: which products they are for, what they leave open, what is
reported, and what is wrong with them."""

import itertools
import json

import lutra
import numpy as np
import onnx
import pytest
from conftest import lutra_compile
from float_products import K, N, layers_of, model_of, normal, perceptron, product
from onnx import helper


def test_rules(tmp_path):
    """The first rule that matches counts, by the name of a node or a weight."""
    path, report = tmp_path / "m.onnx", tmp_path / "r.json"
    onnx.save(perceptron(), path)
    lutra_compile(
        path, "-o", tmp_path / "m.so", "--quantize=he[ab]d=none", "--quantize=w1=nf4;*=int8",
        f"--report=quantization:{report}",
    )  # fmt: skip
    layers = {p["nodes"]: p for p in json.loads(report.read_text())["products"]}
    assert layers["up"]["format"] == "nf4" and layers["up"]["group"] == 64
    assert layers["up"]["kept"]
    assert layers["head"]["reason"] == "'he[ab]d=none'"
    assert layers["tiny"]["reason"] == "fewer than 4096 weights"
    totals = json.loads(report.read_text())
    assert totals["bytes_before"] == 4 * (64 * 128 + 128 * 64 + 64 * 10)
    # 4 bits for each weight and 16 for each scale, beside what is kept.
    codes = 64 * 128 // 2 + 2 * 128
    assert layers["up"]["quantized_bytes"] == codes
    assert totals["bytes_after"] == totals["bytes_before"] + codes


def test_text_report(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(perceptron(), path)
    done = lutra_compile(
        path, "-o", tmp_path / "m.so", "--quantize=*head*=int4", "--report=quantization"
    )
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "1 of 3 products quantized, weights of 68096 bytes become 39936"
    )
    assert "head: w2 [128, 64]" in lines
    assert "up: w1 [64, 128]" in lines
    assert lines[lines.index("up: w1 [64, 128]") + 1] == "    stays: no rule"
    described = lines[lines.index("head: w2 [128, 64]") + 1]
    assert described.startswith("    int4, groups of 32, 4.50 bits per weight, error ")


# What rules leave open


def unequal():
    """Products of weights that are easy to quantize, usual, and hard."""
    weights = {
        "easy": np.random.default_rng(0).choice([-2.0, -1, 0, 1], (128, 64)),
        "usual": normal(128, 64, seed=1),
        "hard": normal(128, 64, seed=2) ** 3,
    }
    nodes = [helper.make_node("MatMul", ["x", name], [f"y_{name}"], name) for name in weights]
    nodes.append(helper.make_node("Sum", [f"y_{name}" for name in weights], ["y"], "sum"))
    weights = {name: weight.astype(np.float32) for name, weight in weights.items()}
    return model_of(nodes, weights, {"x": ["batch", 128]}, {"y": ["batch", 64]})


def test_groups_are_halved(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(unequal(), path)
    layers = layers_of(path, "int4:row:e9%", tmp_path)
    assert layers["easy"]["group"] == 128
    assert layers["usual"]["group"] == 32
    assert layers["usual"]["relative_error"] <= 0.09
    # Half of that is not enough for it.
    coarse = layers_of(path, "int4:g64", tmp_path)
    assert coarse["usual"]["relative_error"] > 0.09
    assert layers["hard"]["group"] == 16


@pytest.mark.parametrize("bits", [2.5, 3, 4.5, 5.2, 8.5, 20])
def test_bits_are_allocated(bits, tmp_path):
    """The least sum of squared errors of all that fit, by trying them all."""
    path = tmp_path / "m.onnx"
    onnx.save(unequal(), path)
    layers = layers_of(path, f"auto:{bits}", tmp_path)
    used = np.mean([p["bits_per_weight"] for p in layers.values()])
    error = sum(p["relative_error"] ** 2 for p in layers.values())
    formats = [layers_of(path, f"int{n}", tmp_path) for n in range(2, 9)]
    best = min(
        sum(formats[i][name]["relative_error"] ** 2 for name, i in zip(layers, choice))
        for choice in itertools.product(range(7), repeat=3)
        if np.mean([i + 2.5 for i in choice]) <= bits
    )
    assert used <= bits
    assert error == pytest.approx(best)


def test_too_few_bits(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(unequal(), path)
    done = lutra_compile(path, "-o", tmp_path / "m.so", "--quantize=auto:2.4", expect=3)
    assert "expected at least 2.50 bits per weight, got 'auto:2.4'" in done.stderr


# What is wrong


@pytest.mark.parametrize(
    "rules, said",
    [
        ("", "expected a format, uint1, "),
        ("int9", "mxfp8e5m2, two of them as FORMAT+PERCENT%FORMAT, auto:BITS or none, got 'int9' in 'int9'"),
        ("*a*=int4;int9", "got 'int9' in 'int9'"),
        ("int4:g0", "eN% for an error of N percent, got 'g0' in 'int4:g0'"),
        ("int4:g-1", "got 'g-1'"),
        ("int4:g99999999999999999999", "got 'g99999999999999999999'"),
        ("int4:", "got '' in 'int4:'"),
        ("int4:fast", "got 'fast' in 'int4:fast'"),
        ("*[=int4", "expected a pattern of names, got '*['"),
        ("mxfp4:g16", "expected groups of 32 for mxfp4, got 'mxfp4:g16'"),
        ("posit4:a8", "expected activations a32 for posit4"),
        ("nf4:a8", "expected activations a32 for nf4, whose numbers are not integers, got 'nf4:a8'"),
        ("int4;", "got '' in ''"),
        ("auto", "auto:BITS or none, got 'auto' in 'auto'"),
        ("auto:", "expected bits per weight, got '' in 'auto:'"),
        ("auto:-4", "expected bits per weight, got '-4' in 'auto:-4'"),
        ("auto:nan", "expected bits per weight, got 'nan'"),
        ("auto:4:e5%", "got 'e5%' in 'auto:4:e5%'"),
        ("int4:e5", "got 'e5' in 'int4:e5'"),
        ("int4:e0%", "got 'e0%' in 'int4:e0%'"),
        ("mxfp4:e5%", "expected no error for mxfp4, whose groups are not halved, got 'mxfp4:e5%'"),
        ("trellis2:e5%", "expected no error for trellis2, whose groups are not halved"),
        ("aqlm2:e5%", "expected no error for aqlm2, whose groups are not halved"),
        ("aqlm2:g48", "expected groups of a multiple of 32 for aqlm2, got 'aqlm2:g48'"),
        ("vptq2:g24", "expected groups of a multiple of 16 for vptq2, got 'vptq2:g24'"),
        ("vptq3:gptq", "expected mse or nearest for vptq3, whose weights"),
        ("aqlm5", "got 'aqlm5' in 'aqlm5'"),
        ("trellis3:g48", "expected groups of a multiple of 32 for trellis3, got 'trellis3:g48'"),
        ("bcq2:gptq", "expected mse or nearest for bcq2, whose weights are not rounded one by one, got 'bcq2:gptq'"),
        ("trellis4:gptq", "expected mse or nearest for trellis4, whose weights"),
        ("trellis5", "got 'trellis5' in 'trellis5'"),
        ("bcq5", "got 'bcq5' in 'bcq5'"),
    ],
)  # fmt: skip
def test_bad_rules(rules, said, tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(product(normal(K, N)), path)
    done = lutra_compile(path, "-o", tmp_path / "m.so", f"--quantize={rules}", expect=2)
    assert done.stderr.startswith("lutra-compile: error: --quantize: expected ")
    assert said in done.stderr and done.stderr.count("\n") == 1
    with pytest.raises(lutra.CompileError, match="--quantize: expected"):
        lutra.compile(path, quantize=rules)


def test_report_needs_rules(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(product(normal(K, N)), path)
    done = lutra_compile(path, "-o", tmp_path / "m.so", "--report=quantization", expect=2)
    assert "--report=quantization needs --quantize" in done.stderr


def test_is_of_one_phase(tmp_path):
    path, dump = tmp_path / "m.onnx", tmp_path / "m.mlir"
    onnx.save(product(normal(K, N)), path)
    lutra_compile(path, "--compile-to=quantize", "-o", dump, "--quantize=int4")
    lutra_compile(dump, "--compile-from=quantize", "-o", tmp_path / "m.so")
    done = lutra_compile(
        dump, "--compile-from=quantize", "-o", tmp_path / "m.so", "--quantize=int4", expect=2
    )
    assert "quantization cannot change after phase 'quantize'" in done.stderr
