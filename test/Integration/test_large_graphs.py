# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Graphs of hundreds and thousands of nodes: what grows faster than they do is
bounded, and what is bounded computes what it should."""

import re
import subprocess

import lutra
import numpy as np
import onnx
import pytest
from conftest import BUILD, lutra_compile
from onnx import TensorProto, helper, numpy_helper

#: Seconds for what took several minutes, and takes a few seconds.
PATIENCE = 120


def save(path, nodes, inputs, output, weights=()):
    """A model of f32 tensors; `inputs` and `output` are names and shapes."""
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in [*inputs, output]
    ]
    graph = helper.make_graph(nodes, "g", infos[:-1], infos[-1:], weights)
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def chain(operators, *weights):
    """Nodes that read each other's results, from x to y."""
    names = ["x", *(f"t{i}" for i in range(1, len(operators))), "y"]
    return [
        helper.make_node(op, [names[i], *weights], [names[i + 1]])
        for i, op in enumerate(operators)
    ]


def compile_in_time(model, artifact, *flags):
    command = [BUILD / "bin" / "lutra-compile", model, "-o", artifact, *flags]
    subprocess.run(command, check=True, timeout=PATIENCE)


def compiled(model, folder):
    """The model compiled, and what its phases left."""
    lutra_compile(model, "-o", folder / "m.so", f"--dump-ir={folder}")
    return lutra.load(folder / "m.so"), {
        path.stem[3:]: path.read_text() for path in folder.glob("*.mlir")
    }


def test_concatenates_hundreds(tmp_path):
    names = [f"x{i}" for i in range(400)]
    nodes = [helper.make_node("Concat", names, ["y"], axis=1)]
    shapes = [(name, [2, 3]) for name in names]
    model = save(tmp_path / "m.onnx", nodes, shapes, ("y", [2, 1200]))
    compile_in_time(model, tmp_path / "m.so")
    x = np.arange(2400, dtype=np.float32).reshape(400, 2, 3)
    y = lutra.load(tmp_path / "m.so")(dict(zip(names, x)))["y"]
    np.testing.assert_array_equal(y, np.concatenate(x, axis=1))


def test_concatenates_hundreds_of_unknown_sizes(tmp_path):
    """Each begins at the sum of the sizes before it."""
    count = 400
    names = [f"x{i}" for i in range(count)]
    nodes = [helper.make_node("Concat", names, ["y"], axis=0)]
    shapes = [(name, [f"n{i}", 3]) for i, name in enumerate(names)]
    model = save(tmp_path / "m.onnx", nodes, shapes, ("y", None))
    compile_in_time(model, tmp_path / "m.so")
    random = np.random.default_rng(0)
    parts = [random.random((size, 3), np.float32) for size in random.integers(1, 9, count)]
    y = lutra.load(tmp_path / "m.so")(dict(zip(names, parts)))["y"]
    np.testing.assert_array_equal(y, np.concatenate(parts))


def test_kernels_of_long_concatenations_are_bounded(tmp_path):
    """Also where two begin alike, so that their first kernels are one."""
    names = [f"x{i}" for i in range(200)]
    nodes = [
        helper.make_node("Concat", names, ["a"], axis=1),
        helper.make_node("Concat", [*names[:-1], "x0"], ["b"], axis=1),
        helper.make_node("Identity", ["a"], ["c"]),
        helper.make_node("Concat", ["a", "b", "c"], ["y"], axis=0),
    ]
    shapes = [(name, [2, 3]) for name in names]
    model = save(tmp_path / "m.onnx", nodes, shapes, ("y", [6, 600]))
    graph = onnx.load(model)
    graph.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 600]) for name in "abc"
    )
    onnx.save(graph, model)
    run, phases = compiled(model, tmp_path)
    kernels = phases["form"].split("func.func private ")[1:]
    assert 32 < max(kernel.count("tensor.insert_slice") for kernel in kernels) <= 64
    x = np.arange(1200, dtype=np.float32).reshape(200, 2, 3)
    got = run(dict(zip(names, x)))
    a, b = np.concatenate(x, axis=1), np.concatenate([*x[:-1], x[0]], axis=1)
    for name, expected in {"a": a, "b": b, "c": a, "y": np.concatenate([a, b, a])}.items():
        np.testing.assert_array_equal(got[name], expected)


@pytest.mark.parametrize("operator", ["Sum", "Mean", "Max", "Min"])
def test_kernels_of_many_operands_are_bounded(tmp_path, operator):
    names = [f"x{i}" for i in range(150)]
    nodes = [helper.make_node(operator, names, ["y"])]
    shapes = [(name, [2, 3] if i % 2 else [3]) for i, name in enumerate(names)]
    model = save(tmp_path / "m.onnx", nodes, shapes, ("y", [2, 3]))
    run, phases = compiled(model, tmp_path)
    kernels = phases["form"].split("func.func private ")[1:]
    assert len(kernels) == 3
    random = np.random.default_rng(0)
    x = [random.normal(size=shape).astype(np.float32) for _, shape in shapes]
    wide = np.stack([np.broadcast_to(part, [2, 3]) for part in x]).astype(np.float64)
    expected = getattr(np, operator.lower())(wide, axis=0)
    np.testing.assert_allclose(run(dict(zip(names, x)))["y"], expected, rtol=1e-4)


def test_layers_that_read_all_before_them(tmp_path):
    """Each concatenation copies the one before it and one part."""
    layers, channels = 100, 4
    nodes, weights, parts = [], [], ["x"]
    for i in range(layers):
        joined = f"joined{i}" if i else "x"
        if i:
            nodes.append(helper.make_node("Concat", parts, [joined], axis=1))
        weight = np.full((channels, channels * (i + 1), 1, 1), 1 / (i + 1), np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{i}"))
        parts = [*parts, f"r{i}" if i < layers - 1 else "y"]
        nodes.append(helper.make_node("Conv", [joined, f"w{i}"], [f"c{i}"]))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [parts[-1]]))
    shape = [1, channels, 8, 8]
    model = save(tmp_path / "m.onnx", nodes, [("x", shape)], ("y", shape), weights)
    compile_in_time(model, tmp_path / "m.so", f"--dump-ir={tmp_path}")
    (form,) = tmp_path.glob("*form.mlir")
    kernels = form.read_text().split("func.func private @concat")[1:]
    assert max(kernel.count("tensor.insert_slice") for kernel in kernels) == 2
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = [x]
    for i in range(layers):
        mean = sum(part.sum(axis=1) for part in expected) / (i + 1)
        expected.append(np.repeat(np.maximum(mean, 0)[:, None], channels, axis=1))
    y = lutra.load(tmp_path / "m.so")({"x": x})["y"]
    np.testing.assert_allclose(y, expected[-1], rtol=1e-3)


def test_kernels_of_long_chains_are_bounded(tmp_path):
    operators = ["Relu", "Neg"] * 500
    sizes = [("x", [2, 16])], ("y", [2, 16])
    model = save(tmp_path / "m.onnx", chain(operators), *sizes)
    run, phases = compiled(model, tmp_path)
    kernels = re.findall(r"linalg\.generic.*?linalg\.yield", phases["form"], re.S)
    operations = [kernel.count(" = arith.") for kernel in kernels]
    assert 64 < max(operations) <= 128
    x = np.random.default_rng(0).normal(size=(2, 16)).astype(np.float32)
    np.testing.assert_array_equal(run({"x": x})["y"], np.zeros_like(x))


@pytest.mark.parametrize("rows", [2, "rows"])
def test_long_programs_are_functions_of_bounded_length(tmp_path, rows):
    rotation = np.roll(np.eye(8, dtype=np.float32), 1, axis=1)
    model = save(
        tmp_path / "m.onnx",
        chain(["MatMul"] * 500, "w"),
        [("x", [rows, 8])],
        ("y", [rows, 8]),
        [numpy_helper.from_array(rotation, "w")],
    )
    run, phases = compiled(model, tmp_path)
    functions = phases["target"].split("llvm.func ")
    calls = [len(re.findall(r"llvm\.call @contract", f)) for f in functions]
    assert sum(calls) == 500
    assert max(calls) == 170
    x = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    np.testing.assert_array_equal(run({"x": x})["y"], np.roll(x, 500, axis=1))
