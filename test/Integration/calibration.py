# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Inputs that a model is calibrated with, and what is asked of what comes of it."""

import json

import lutra
import numpy as np
import onnx
from conftest import MODELS, lutra_compile, run_tool
from Models.numerals.make_numerals import no_past
from Models.roman import BEGIN, encode, roman
from onnx import helper
from float_products import decoded, model_of, normal, product, relative

K, N = 256, 96


def channels(seed=0):
    """Magnitudes of input channels that differ as those of language models."""
    return np.exp(np.random.default_rng(seed).normal(0, 1.5, K)).astype(np.float32)


def unequal(rows, seed):
    """Inputs of channels that differ in magnitude."""
    return normal(rows, K, seed=seed) * channels()


def correlated(rows, seed):
    """Inputs that lie near a space of fewer dimensions, as activations do."""
    mix = normal(K // 4, K, seed=99)
    return normal(rows, K // 4, seed=seed) @ mix + 0.3 * normal(rows, K, seed=seed + 1)


def outputs_error(weight, rules, samples, x):
    """The relative error of outputs for x."""
    model = lutra.compile(product(weight), quantize=rules, calibrate=samples)
    return relative(model(x)["y"], x @ weight)


def report_of(path, tmp_path, *options, **expected):
    report = tmp_path / "report.json"
    done = lutra_compile(
        path, "-o", tmp_path / "m.so", *options, f"--report=quantization:{report}", **expected
    )  # fmt: skip
    return done, {p["nodes"]: p for p in json.loads(report.read_text())["products"]}


def error_of_codes(path, x, weight):
    """The relative error of the outputs that the samples x have, as if channels were
    uncorrelated, by what the codes of an artifact stand for."""
    squares = np.sum(x.astype(np.float64) ** 2, axis=0)[:, None]
    errors = squares * (decoded(lutra.load(path), K) - weight) ** 2
    return np.sqrt(np.sum(errors) / np.sum(squares * weight**2.0))


def with_outliers(rows, seed):
    """Inputs of which four channels are far larger than the others."""
    x = normal(rows, K, seed=seed)
    x[:, [3, 70, 71, 200]] *= 60
    return x


def check_transposed(rules):
    """Rows in two dimensions, a weight that lies transposed, and one row alone."""
    weight = normal(N, K)
    nodes = [
        helper.make_node("Transpose", ["w"], ["t"], "turn", perm=[1, 0]),
        helper.make_node("MatMul", ["x", "t"], ["y"], "proj"),
    ]
    model = model_of(nodes, {"w": weight}, {"x": ["a", "b", K]}, {"y": ["a", "b", N]})
    x = with_outliers(24, seed=2).reshape(4, 6, K)
    quantized = lutra.compile(model, quantize=rules, calibrate={"x": x})
    for part in (x, x[:1, :1]):
        np.testing.assert_allclose(quantized(part)["y"], part @ weight.T, rtol=0.05, atol=4)


def refused(tmp_path, code, *options, rules="int4:gptq"):
    """The one line of an error, which leaves nothing behind."""
    path, output = tmp_path / "m.onnx", tmp_path / "m.so"
    onnx.save(product(normal(K, N)), path)
    before = sorted(tmp_path.iterdir())
    done = lutra_compile(path, "-o", output, f"--quantize={rules}", *options, expect=code)
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("lutra-compile: error: ")
    assert sorted(tmp_path.iterdir()) == before
    return done.stderr


def numeral_samples(numbers, state):
    """Texts of equal length, by that length, as inputs of the language model."""
    texts = {}
    for number in numbers:
        ids = [BEGIN, *encode(f"{number}={roman(int(number))}\n")]
        texts.setdefault(len(ids), []).append(ids)
    for length, ids in texts.items():
        ids = np.array(ids)
        yield {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "position_ids": np.broadcast_to(np.arange(length), ids.shape),
            **({} if state else no_past(len(ids))),
        }


def check_numerals(path):
    """The sample language model writes what it was made for."""
    for number in (7, 48, 1994, 3888):
        done = run_tool(
            "lutra-run", path, f"--generate={number}=", "--max-tokens=20",
            f"--tokenizer={MODELS / 'tokenizer.json'}",
        )  # fmt: skip
        assert done.stdout == roman(number) + "\n"


def sample_files(tmp_path, numbers, state):
    files = []
    for arrays in numeral_samples(numbers, state):
        files.append(tmp_path / f"samples{len(files)}.npz")
        np.savez(files[-1], **arrays)
    return files
