#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prints what samples of inputs do for quantization: calibration.py [RULE..]

All errors are of outputs, for inputs that are not among the samples, relative to
those of the model unquantized: of the sample language model, which writes Roman
numerals (its logits, for 400 texts), and of a product of 1024 x 512 weights whose
inputs are correlated and have four channels that are far larger than the others.
Without a "+" after the rule there were no samples.
"""

import sys
import tempfile
from pathlib import Path

import lutra
import numpy as np
from quantization import write_product

TEST = Path(__file__).resolve().parents[1] / "test"
sys.path.insert(0, str(TEST))
from conftest import generate  # noqa: E402
from Models.numerals.make_numerals import no_past  # noqa: E402
from Models.roman import BEGIN, encode, roman  # noqa: E402

RULES = [f"{name}{rest}" for name in ("int3", "int4", "nf4")
         for rest in (":nearest", "", "+", ":gptq+")]  # fmt: skip
RULES += [f"{name}:row:a8{rest}" for name in ("int8", "int4")
          for rest in ("", "+", ":smooth+", ":outliers+", ":gptq:outliers+")]  # fmt: skip
RULES += [f"{name}:a8{rest}" for name in ("int8", "int8:g128", "int4") for rest in ("+", ":arc+")]
RULES += [f"int8:row:a8s{rest}+" for rest in (":nearest", "", ":smooth", ":outliers")]
K, N = 1024, 512


def texts(numbers):
    """Inputs of the language model, all texts of one length at once."""
    by_length = {}
    for number in numbers:
        ids = [BEGIN, *encode(f"{number}={roman(int(number))}\n")]
        by_length.setdefault(len(ids), []).append(ids)
    return [
        {
            "input_ids": np.array(ids),
            "attention_mask": np.ones((len(ids), length), np.int64),
            "position_ids": np.tile(np.arange(length), (len(ids), 1)),
            **no_past(len(ids)),
        }
        for length, ids in sorted(by_length.items())
    ]


def inputs(rows, seed):
    """Three quarters of the variance lie in a quarter of the dimensions."""
    random = np.random.default_rng(1)
    mix = random.standard_normal((K // 4, K)) * np.sqrt(3 / K)
    large = random.choice(K, 4, replace=False)
    random = np.random.default_rng(seed)
    x = random.standard_normal((rows, K // 4)) @ mix * 2 + 0.5 * random.standard_normal((rows, K))
    x[:, large] *= 40
    return x.astype(np.float32)


class Case:
    """A model with samples and with inputs that it is measured on."""

    def __init__(self, path, output, samples, held_out):
        self.path, self.output, self.held_out = path, output, held_out
        self.files = []
        for i, arrays in enumerate(samples):
            self.files.append(str(path.with_name(f"{path.stem}{i}.npz")))
            np.savez(self.files[-1], **arrays)
        self.exact = self.outputs()

    def outputs(self, **options):
        dims = {"past_sequence_length": (0, 32)} if self.output == "logits" else {}
        model = lutra.compile(self.path, self.path.with_suffix(".so"), dim=dims, **options)
        return [model(arrays)[self.output] for arrays in self.held_out]

    def error(self, rule):
        samples = self.files if rule.endswith("+") else None
        got = self.outputs(quantize=rule.rstrip("+"), calibrate=samples)
        errors = sum(np.sum((g - e) ** 2.0) for g, e in zip(got, self.exact, strict=True))
        return np.sqrt(errors / sum(np.sum(e**2.0) for e in self.exact))


def main():
    numbers = np.random.default_rng(0).permutation(np.arange(1, 4000))
    numerals = generate("numerals/make_numerals.py", "numerals.onnx", TEST.parent / "build/models")
    with tempfile.TemporaryDirectory() as folder:
        writer, alone = Path(folder, "numerals.onnx"), Path(folder, "product.onnx")
        writer.write_bytes(numerals.read_bytes())
        write_product(alone, K, N)
        cases = [
            Case(writer, "logits", texts(numbers[:200]), texts(numbers[200:600])),
            Case(alone, "y", [{"x": inputs(2048, 2)}], [{"x": inputs(1024, 3)}]),
        ]
        print(f"{'rule':26}{'language model':>16}{'product':>12}")
        for rule in sys.argv[1:] or RULES:
            errors = [100 * case.error(rule) for case in cases]
            print(f"{rule:26}{errors[0]:>14.2f} %{errors[1]:>10.2f} %", flush=True)


if __name__ == "__main__":
    main()
