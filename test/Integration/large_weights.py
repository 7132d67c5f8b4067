#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles a model of 2.25 GiB of weights into one library and runs it.

Run by hand, since it needs 8 GB of disk and a minute or two:

    .venv/bin/python test/Integration/large_weights.py

The answer is compared with numpy's, which gets each layer's weights from the
model's own generator.
"""

import sys
import tempfile
import time
from pathlib import Path

import lutra
import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "test" / "Models"))
import mlp

WIDTH, LAYERS = 4096, 36


def reference(x):
    for layer in range(LAYERS):
        weight, bias = mlp.layer_weights(WIDTH, layer)
        x = np.maximum(x @ weight + bias, 0)
    return x


def main():
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        path = Path(folder) / "large.onnx"
        mlp.write(path, WIDTH, LAYERS, external=True)
        size = path.with_suffix(".weights").stat().st_size
        print(f"model: {size / 2**30:.2f} GiB of weights")
        # Compiled under another name, so that the model's weights stay as they are.
        artifact = Path(folder) / "embedded.so"
        start = time.perf_counter()
        model = lutra.compile(path, output=artifact, weights="embed")
        print(f"compiled in {time.perf_counter() - start:.1f} s")
        print(f"artifact: {artifact.stat().st_size / 2**30:.2f} GiB")
        assert artifact.stat().st_size > 2**31
        x = np.random.default_rng(3).standard_normal((2, WIDTH), np.float32)
        np.testing.assert_allclose(model(x)["y"], reference(x), rtol=1e-3, atol=1e-4)
        print("agrees with numpy")


if __name__ == "__main__":
    main()
