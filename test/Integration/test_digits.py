# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The sample, from its file to the right digits."""


import lutra
import numpy as np
import pytest
from conftest import lutra_compile, run_tool


@pytest.fixture(scope="module")
def artifact(digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "digits.so"
    lutra_compile(digits[0], "-o", path, "--dim=batch:1..512")
    return path


@pytest.mark.parametrize("batch", [1, 33])
def test_agrees_with_onnx_runtime(digits, artifact, batch):
    data = digits[1]
    scores = lutra.load(artifact)(data["images"][:batch])["scores"]
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, data["scores"][:batch], rtol=1e-5, atol=1e-5)


def test_is_right_as_often_as_scikit_learn(digits, artifact):
    data = digits[1]
    digits_read = lutra.load(artifact)(data["images"])["scores"].argmax(axis=1)
    theirs = np.mean(data["predictions"] == data["labels"])
    assert np.mean(digits_read == data["labels"]) == theirs
    assert theirs > 0.95


def test_leaves_inputs_unchanged(digits, artifact):
    images = digits[1]["images"].copy()
    lutra.load(artifact)(images)
    np.testing.assert_array_equal(images, digits[1]["images"])


def test_lutra_run_agrees(digits, artifact, tmp_path):
    data = digits[1]
    np.save(tmp_path / "image.npy", data["images"][:33])
    np.save(tmp_path / "scores.npy", data["scores"][:33])
    run_tool(
        "lutra-run",
        artifact,
        f"--input=image=@{tmp_path}/image.npy",
        f"--expect=scores=@{tmp_path}/scores.npy",
        "--rtol=1e-5",
        "--atol=1e-5",
    )


def test_dimension_out_of_range_is_an_error(digits, tmp_path):
    path = tmp_path / "digits.so"
    lutra_compile(digits[0], "-o", path, "--dim=batch:1..32")
    with pytest.raises(Exception, match="batch"):
        lutra.load(path)(digits[1]["images"][:33])
