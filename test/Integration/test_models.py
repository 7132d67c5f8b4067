# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole models beside ONNX Runtime."""

import lutra
import numpy as np
import onnxruntime
import pytest
from conftest import MODELS, generate


def test_cnn(cnn):
    path, data = cnn
    y = lutra.compile(path)(data["x"])["y"]
    np.testing.assert_allclose(y, data["y"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", ["inline", "external"])
@pytest.mark.parametrize("weights", ["external", "embed"])
@pytest.mark.parametrize("width", [7, 65])
def test_mlp(form, weights, width, tmp_path):
    """Odd sizes, with weights inside and beside the model and the artifact."""
    name = f"mlp-{form}-{width}.onnx"
    options = ["--external"] if form == "external" else []
    path = generate(
        "mlp.py", name, MODELS / name, f"--width={width}", "--layers=3", *options
    )
    x = np.random.default_rng(0).standard_normal((5, width), np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    model = lutra.compile(path, output=tmp_path / "mlp.so", weights=weights)
    np.testing.assert_allclose(
        model(x)["y"], session.run(None, {"x": x})[0], rtol=1e-5, atol=1e-5
    )
