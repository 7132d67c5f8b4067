# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What products with codes multiply with, against what their model says: --activations."""

import lutra
import numpy as np
import pytest
from low_bit import LowBit, model
from onnx import TensorProto, helper, numpy_helper
from test_experts import Mixture

ROUNDED = {"a8": 4, "a32": 0}


def numbers(*shape):
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("rules, level", ROUNDED.items())
@pytest.mark.parametrize("zeros", [None, "packed", "floats"])
def test_level_of_another(zeros, rules, level):
    """As if the model said so, to the last bit."""
    x = numbers(7, 100)
    models = [
        model([LowBit(f"y{bits}", 9, 100, bits, 32, zeros, level=level) for bits in (2, 3, 4, 8)],
              x.shape)
        for level in (level, 4 - level)
    ]  # fmt: skip
    expected = lutra.compile(models[0])(x)
    actual = lutra.compile(models[1], activations=rules)(x)
    apart = lutra.compile(models[1])(x)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value)
        assert (apart[name] != value).any()


@pytest.mark.parametrize("level", [0, 4])
def test_names(level):
    """The first rule that matches a node counts; where none does the model does."""
    x, rules = numbers(3, 96), "*head*=a32;layer[01].*=a8"
    products = [LowBit(name, 9, 96, level=level) for name in ("lm_head", "layer0.q", "layer2.q")]
    actual = lutra.compile(model(products, x.shape), activations=rules)(x)
    for product, wanted in zip(products, (0, 4, level), strict=True):
        product.level = wanted
        expected = product.expected(x)
        np.testing.assert_allclose(
            actual[product.name], expected, atol=1e-5 * np.abs(expected).max()
        )


@pytest.mark.parametrize("rules, level", ROUNDED.items())
def test_experts(rules, level):
    options = dict(k=2, activation_type="silu", bits=4, block=32)
    wanted, other = (Mixture((40,), accuracy_level=each, **options) for each in (level, 4 - level))
    expected = lutra.compile(wanted.model())(wanted.feeds)["y"]
    actual = lutra.compile(other.model(), activations=rules)(other.feeds)["y"]
    np.testing.assert_array_equal(actual, expected)


def dequantized(dtype, codes):
    """Blocks of 32 codes of a constant matrix [96, 40], which f32 are multiplied with."""
    scales = np.random.default_rng(1).uniform(0.1, 1, (3, 40)).astype(np.float32)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["d"], axis=0, block_size=32),
        helper.make_node("MatMul", ["x", "d"], ["y"], "product"),
    ]
    graph = helper.make_graph(
        nodes, "dequantized", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, 96])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [helper.make_tensor("w", dtype, [96, 40], codes), numpy_helper.from_array(scales, "s")],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)


def test_dequantized_weights():
    """What has no level is rounded as at level 4 where it is asked for."""
    codes = np.random.default_rng(2).integers(-8, 8, 96 * 40)
    graph, x = dequantized(TensorProto.INT4, codes), numbers(5, 96)
    exact, rounded = (lutra.compile(graph, activations=a)(x)["y"] for a in ("a32", "a8"))
    np.testing.assert_array_equal(exact, lutra.compile(graph)(x)["y"])
    error = np.abs(rounded - exact).max() / np.abs(exact).max()
    assert 1e-4 < error < 2e-2


def test_codes_that_are_no_integers():
    codes = np.random.default_rng(2).integers(0, 100, 96 * 40).astype(np.float32)
    graph, x = dequantized(TensorProto.FLOAT8E4M3FN, codes), numbers(5, 96)
    with pytest.warns(UserWarning, match="product.*activations stay f32, though 'a8'"):
        warned = lutra.compile(graph, activations="a8")
    np.testing.assert_array_equal(warned(x)["y"], lutra.compile(graph)(x)["y"])


def test_bytes_of_the_model():
    """What the model rounds itself is part of what it computes."""
    w = np.random.default_rng(3).integers(-128, 128, (96, 40)).astype(np.int8)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "s"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "dynamic", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, 96])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(w, "w")],
    )  # fmt: skip
    bytes_ = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    x = numbers(5, 96)
    expected = lutra.compile(bytes_)(x)["y"]
    for rules in ROUNDED:
        np.testing.assert_array_equal(lutra.compile(bytes_, activations=rules)(x)["y"], expected)


def test_is_of_one_phase(tmp_path):
    dump = tmp_path / "model.mlir"
    dump.write_text(lutra.ir(model([LowBit("y", 5, 32)], (1, 32)), "quantize"))
    lutra.compile(dump, compile_from="quantize")
    with pytest.raises(lutra.CompileError, match="activations cannot change after phase 'quantize'"):
        lutra.compile(dump, compile_from="quantize", activations="a8")


@pytest.mark.parametrize("rules", ["", "a16", "int4", "x=", "a8;", "[=a8"])
def test_bad_rules(rules):
    with pytest.raises(lutra.CompileError, match="--activations: expected a") as error:
        lutra.compile(model([LowBit("y", 5, 32)], (1, 32)), activations=rules)
    assert error.value.exit_code == 2
