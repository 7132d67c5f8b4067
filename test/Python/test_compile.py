# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""lutra.compile, lutra.ir and lutra.check."""

import platform

import lutra
import models
import numpy as np
import onnx
import pytest
from conftest import PHASES

X = np.arange(8, dtype=np.float32).reshape(2, 4)
W = np.arange(1, 13, dtype=np.float32).reshape(4, 3)
Y = np.maximum(X @ W + np.array([-100, 0, 100], np.float32), 0)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mlp.onnx"
    onnx.save(models.mlp(), path)
    return path


def test_all_kinds_of_models(path):
    for model in (path, str(path), path.read_bytes(), models.mlp()):
        np.testing.assert_array_equal(lutra.compile(model)(X)["y"], Y)
    with pytest.raises(TypeError, match="expected a path, bytes or a ModelProto, got int"):
        lutra.compile(1)


def test_output_stays(path, tmp_path):
    output = tmp_path / "out" / "mlp.so"
    output.parent.mkdir()
    lutra.compile(path, output=output)
    assert output.exists()
    np.testing.assert_array_equal(lutra.load(output)(X)["y"], Y)


def test_temporary_output_goes(path, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = lutra.compile(path)
    assert list(tmp_path.glob("lutra-*"))
    np.testing.assert_array_equal(model(X)["y"], Y)
    del model
    assert not list(tmp_path.glob("lutra-*"))


def test_other_outputs(path, tmp_path):
    assert lutra.compile(path, tmp_path / "m.o", emit_header=tmp_path / "m.h") is None
    assert (tmp_path / "m.o").read_bytes().startswith(b"\x7fELF")
    assert "lutra_model_mlp" in (tmp_path / "m.h").read_text()


def test_other_machines(path, tmp_path):
    artifact = tmp_path / "m.so"
    other = {"x86_64": "aarch64", "aarch64": "x86_64"}[platform.machine()]
    assert lutra.compile(path, artifact, mtriple=f"{other}-linux-gnu") is None
    assert artifact.read_bytes().startswith(b"\x7fELF")
    with pytest.raises(lutra.RunError, match="compile the model for this machine"):
        lutra.load(artifact)
    with pytest.raises(TypeError, match=f"expected an output: this machine is no {other}"):
        lutra.compile(path, mtriple=f"{other}-linux-gnu")


def test_options(path, tmp_path):
    model = lutra.compile(
        path, tmp_path / "m.so", name="other", mcpu="x86-64-v2", opt_level=1,
        weights="embed", dump_ir=tmp_path / "ir",
    )  # fmt: skip
    assert model.name == "other"
    assert model.info["cpu"] == "x86-64-v2"
    assert model.info["weights_embedded"]
    assert len(list((tmp_path / "ir").iterdir())) == len(PHASES)
    np.testing.assert_array_equal(model(X)["y"], Y)


@pytest.mark.parametrize(
    "size, expected",
    [((1, 64), (1, 64, 1)), ((2, 64, 2), (2, 64, 2)), ((4, None), (4, None, 1)),
     ("1..8%2", (1, 8, 2))],
)  # fmt: skip
def test_dims(path, size, expected):
    assert lutra.compile(path, dim={"batch": size}).dims == {"batch": expected}


def test_static_dim(path):
    model = lutra.compile(path, dim={"batch": 2})
    assert model.dims == {}
    assert model.inputs[0].shape == (2, 4)
    np.testing.assert_array_equal(model(X)["y"], Y)


@pytest.mark.parametrize(
    "options, message",
    [({"mcpu": "z80"}, "z80"), ({"frobnicate": 1}, "unknown option 'frobnicate'"),
     ({"opt_level": 4}, "expected -O0 to -O3"), ({"dim": {"batch": (3, 2)}}, "batch:3..2"),
     ({"weights": "here"}, "--weights=here")],
)  # fmt: skip
def test_wrong_options(path, options, message):
    with pytest.raises(lutra.CompileError, match=message) as error:
        lutra.compile(path, **options)
    assert error.value.exit_code == 2


def test_errors_have_the_compilers_text(tmp_path):
    with pytest.raises(lutra.CompileError, match="none.onnx: No such file") as error:
        lutra.compile(tmp_path / "none.onnx")
    assert error.value.exit_code == 4
    with pytest.raises(lutra.CompileError, match="model.onnx: ") as error:
        lutra.compile(b"garbage")
    assert error.value.exit_code == 3


@pytest.mark.parametrize("phase", PHASES[:-1])
def test_ir_of_every_phase(path, phase):
    ir = lutra.ir(path, phase, mcpu="x86-64-v3")
    assert ir.startswith(("module", "#"))
    assert "loc(" not in ir


def test_ir_shows_what_a_phase_did(path):
    assert 'onnx.node "MatMul"' in lutra.ir(path, "import")
    assert "linalg." in lutra.ir(path)
    assert "lutra.dispatch" in lutra.ir(path, phase="form")
    with pytest.raises(lutra.CompileError, match="name of a phase"):
        lutra.ir(path, "lowering")


def test_check():
    assert lutra.check(models.mlp()) == []
    model = models.parse("g (float[4] x) => (float[4] y) { [bad] y = Frobnicate(x) }")
    (refusal,) = lutra.check(model.SerializeToString())
    assert (refusal.node, refusal.domain, refusal.op) == ("bad", "", "Frobnicate")
    assert refusal.reason
    with pytest.raises(lutra.CompileError):
        lutra.check(b"garbage")
