# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whatever is given as a model, the answer is one clear error."""

import numpy as np
import onnx
import pytest
from conftest import lutra_compile
from onnx import TensorProto, external_data_helper, helper, numpy_helper

UNSUPPORTED, IO = 3, 4


def value(name, shape=(4,), dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs=None, outputs=None, weights=(), opset=18):
    graph = helper.make_graph(
        nodes, "bad", inputs or [value("x")], outputs or [value("y")], list(weights)
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8
    )


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, name=f"the_{op}", **attributes)


def ill_typed():
    inputs = [value("x"), value("i", dtype=TensorProto.INT64)]
    return model([node("Add", ["x", "i"], ["y"])], inputs)


def cyclic():
    return model(
        [node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]),
         node("Relu", ["b"], ["y"])]
    )  # fmt: skip


def ill_shaped():
    inputs = [value("x", (4,)), value("z", (5,))]
    return model([node("Add", ["x", "z"], ["y"])], inputs)


def defined_twice():
    return model([node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["y"])])


def endless_equation(equation):
    inputs = [value("x", (4, 4)), value("z", (4, 4))]
    return model([node("Einsum", ["x", "z"], ["y"], equation=equation)], inputs)


def short_weight():
    weight = numpy_helper.from_array(np.ones(4, np.float32), "w")
    weight.raw_data = weight.raw_data[:7]
    return model([node("Add", ["x", "w"], ["y"])], weights=[weight])


def huge_weight():
    weight = numpy_helper.from_array(np.ones(4, np.float32), "w")
    del weight.dims[:]
    weight.dims.extend([2**40, 2**40])
    return model([node("Add", ["x", "w"], ["y"])], weights=[weight])


def negative_weight():
    weight = numpy_helper.from_array(np.ones(4, np.float32), "w")
    weight.dims[0] = -4
    return model([node("Add", ["x", "w"], ["y"])], weights=[weight])


def external(location, offset=0):
    weight = numpy_helper.from_array(np.ones(4, np.float32), "w")
    external_data_helper.set_external_data(weight, location, offset, 16)
    weight.ClearField("raw_data")
    return model([node("Add", ["x", "w"], ["y"])], weights=[weight])


BAD_MODELS = {
    "ill_typed": (ill_typed, "the_Add"),
    "cyclic": (cyclic, "the_Add"),
    "ill_shaped": (ill_shaped, "the_Add"),
    "defined_twice": (defined_twice, "y"),
    "undefined_value": (lambda: model([node("Relu", ["nothing"], ["y"])]), "nothing"),
    "missing_output": (lambda: model([node("Relu", ["x"], ["z"])]), "y"),
    "unknown_operator": (lambda: model([node("Frobnicate", ["x"], ["y"])]), "Frobnicate"),
    "unknown_domain": (
        lambda: model([node("Gelu", ["x"], ["y"], domain="org.example")]),
        "org.example",
    ),
    "unknown_opset": (lambda: model([node("Relu", ["x"], ["y"])], opset=9999), "9999"),
    "equation_byte": (lambda: endless_equation(b"ij,jk\x9e->ik"), "the_Einsum"),
    "equation_dot": (lambda: endless_equation("ij,j.k->ik"), "the_Einsum"),
    "equation_ellipses": (lambda: endless_equation("...i...,jk->ik"), "the_Einsum"),
    "missing_input": (lambda: model([node("Add", ["x"], ["y"])]), "the_Add"),
    "short_weight": (short_weight, "w"),
    "huge_weight": (huge_weight, "w"),
    "negative_weight": (negative_weight, "w"),
    "external_outside": (lambda: external("../../../etc/passwd"), "etc/passwd"),
    "external_absolute": (lambda: external("/etc/passwd"), "/etc/passwd"),
    "external_past_end": (lambda: external("model.onnx", 2**40), "w"),
}


def test_unprintable_text(output, tmp_path):
    """What a message quotes of a file is made fit for a terminal."""
    bad = model([node("Frobnicate", ["x"], ["y"])]).SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(bad.replace(b"Frobnicate", b"Frob\xff\x1b[2m\x07"))
    (error,) = refused(path, output, {UNSUPPORTED})
    assert "Frob\ufffd?[2m?" in error


def refused(path, output, codes):
    """Compiles a bad file; checks all that a refusal promises."""
    done = lutra_compile(path, "-o", output, expect=None)
    assert done.returncode in codes, (done.returncode, done.stderr)
    errors = [line for line in done.stderr.splitlines() if "warning: " not in line]
    assert errors, done.stderr
    assert not list(output.parent.iterdir()), "an output file was left"
    return errors


@pytest.fixture
def output(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "bad.so"


@pytest.mark.parametrize("name", BAD_MODELS)
def test_bad_model(name, output, tmp_path):
    make, mentioned = BAD_MODELS[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(make().SerializeToString())
    errors = refused(path, output, {UNSUPPORTED, IO} if "external" in name else {UNSUPPORTED})
    assert len(errors) == 1
    assert mentioned in errors[0]


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"\x89PNG\r\n\x1a\n", b"not a model\n", b"\xff" * 4096, b"\x3a" * 99],
    ids=["empty", "zero", "png", "text", "ones", "open_field"],
)
def test_not_a_model(content, output, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert len(refused(path, output, {UNSUPPORTED})) == 1


def test_unreadable_files(output, tmp_path):
    assert len(refused(tmp_path / "nothing.onnx", output, {IO})) == 1
    assert len(refused(tmp_path, output, {IO})) == 1


def test_unwritable_output(digits, tmp_path):
    done = lutra_compile(digits[0], "-o", tmp_path / "none" / "x.so", expect=IO)
    assert "none" in done.stderr


@pytest.mark.parametrize("part", range(8))
def test_truncated(digits, output, tmp_path, part):
    content = digits[0].read_bytes()
    path = tmp_path / "model.onnx"
    for cut in np.linspace(0, len(content), 65).astype(int)[part * 8 : part * 8 + 8]:
        path.write_bytes(content[:cut])
        refused(path, output, {UNSUPPORTED})


@pytest.mark.parametrize("seed", range(8))
def test_mutated(digits, output, tmp_path, seed):
    """Changed bytes outside of the weights: an error or a model, no crash."""
    small = onnx.load(digits[0])
    for tensor in small.graph.initializer:
        del tensor.dims[:]
        tensor.dims.append(1)
        tensor.raw_data = tensor.raw_data[:4]
    content = small.SerializeToString()
    random = np.random.default_rng(seed)
    path = tmp_path / "model.onnx"
    for _ in range(8):
        mutated = bytearray(content)
        for position in random.integers(0, len(mutated), 3):
            mutated[position] = random.integers(0, 256)
        path.write_bytes(bytes(mutated))
        done = lutra_compile(path, "-o", output, expect=None)
        assert done.returncode in (0, UNSUPPORTED, IO), (done.returncode, done.stderr)
