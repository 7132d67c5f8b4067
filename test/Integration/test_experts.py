# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mixtures of experts (com.microsoft's MoE and QMoE) beside numpy and, what that has of them,
ONNX Runtime: routing, activations, gates, and weights of 2, 4 and 8 bits."""

import json

import lutra
import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper

HIDDEN, INTER, EXPERTS = 32, 64, 5


def draw(*shape, seed=0, scale=0.3):
    return (np.random.default_rng(seed + sum(shape)).standard_normal(shape) * scale).astype(np.float32)


def pack(codes, bits):
    """Codes in consecutive bytes, the lowest bits first."""
    count = 8 // bits
    parts = codes.astype(np.uint8).reshape(*codes.shape[:-1], -1, count)
    return np.bitwise_or.reduce(parts << (bits * np.arange(count, dtype=np.uint8)), -1)


class Layer:
    """Weights [experts, columns, depth] as inputs of an operator and as numbers."""

    def __init__(self, name, columns, depth, seed, bits=0, block=0, zeros=False, bias=True, dtype=np.float32):
        self.name, self.bias = name, draw(EXPERTS, columns, seed=seed).astype(dtype) if bias else None
        self.scales = self.zeros = None
        if not bits:
            self.weights = draw(EXPERTS, columns, depth, seed=seed).astype(dtype)
            self.value = self.weights.astype(np.float64)
            return
        random = np.random.default_rng(seed)
        codes = random.integers(0, 1 << bits, (EXPERTS, columns, depth))
        blocks = depth // (block or depth)
        scales = random.uniform(0.01, 0.05, (EXPERTS, columns, blocks)).astype(dtype)
        middle = np.full(scales.shape, 1 << (bits - 1))
        points = random.integers(0, 1 << bits, scales.shape) if zeros else middle

        def spread(parameter):
            return np.repeat(parameter.astype(np.float64), depth // blocks, -1)

        self.value = (codes - spread(points)) * spread(scales)
        self.weights = pack(codes, bits)
        self.scales = scales if block else scales[..., 0]
        if zeros:
            self.zeros = pack(points if block else points[..., 0], bits)

    def __call__(self, expert, x):
        y = self.value[expert] @ x
        return y if self.bias is None else y + self.bias[expert]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * sigmoid(x),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))),
    "identity": lambda x: x,
}


class Mixture:
    """An MoE, or where it has bits a QMoE; `attributes` are the operator's."""

    def __init__(self, rows=(7,), gate=False, bits=0, block=0, zeros=False, bias=True, routed=False,
                 dtype=np.float32, hidden=HIDDEN, inter=INTER, **attributes):  # fmt: skip
        self.attributes, self.hidden, self.inter = attributes, hidden, inter
        if bits:
            self.attributes.update(expert_weight_bits=bits, **({"block_size": block} if block else {}))
        self.fusion = attributes.get("swiglu_fusion", 0)
        options = dict(bits=bits, block=block, zeros=zeros, bias=bias, dtype=dtype)
        self.fc1 = Layer("fc1", inter * (2 if self.fusion else 1), hidden, 1, **options)
        self.fc2 = Layer("fc2", hidden, inter, 2, **options)
        self.fc3 = Layer("fc3", inter, hidden, 3, **options) if gate else None
        self.x = draw(*rows, hidden, scale=1).astype(dtype)
        tokens = int(np.prod(rows))
        self.router = draw(tokens, EXPERTS, scale=3).astype(dtype)
        self.routed = np.abs(draw(tokens, EXPERTS, seed=9)).astype(dtype) if routed else None
        self.op = "QMoE" if bits else "MoE"

    def inputs(self):
        named = {"input": self.x, "router": self.router}
        layers = [self.fc1, self.fc2, self.fc3]
        for number, layer in enumerate(layers, 1):
            names = [f"fc{number}{part}" for part in ("weights", "scales", "bias")]
            values = [layer.weights, layer.scales, layer.bias] if layer else [None] * 3
            if self.op == "MoE":
                del names[1], values[1]
            named.update(zip(names, values, strict=True))
        if self.op == "QMoE":
            named.update({f"fc{i}zeros": layer.zeros if layer else None for i, layer in enumerate(layers, 1)})
            named["routed"] = self.routed
        return named

    def model(self, symbolic=False, constant=True):
        inputs = self.inputs()
        feeds = [n for n, v in inputs.items() if v is not None and (n in ("input", "router", "routed") or not constant)]

        def info(name):
            shape = list(inputs[name].shape)
            if symbolic and name in ("input", "router", "routed"):
                shape[0] = "tokens"
            return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(inputs[name].dtype), shape)

        names = [n if v is not None else "" for n, v in inputs.items()]
        while not names[-1]:
            names.pop()
        kind = helper.np_dtype_to_tensor_dtype(self.x.dtype)
        graph = helper.make_graph(
            [helper.make_node(self.op, names, ["y"], "experts", domain="com.microsoft", **self.attributes)], "g",
            [info(n) for n in feeds], [helper.make_tensor_value_info("y", kind, None)],
            [numpy_helper.from_array(v, n) for n, v in inputs.items() if v is not None and n not in feeds],
        )  # fmt: skip
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        self.feeds = {n: inputs[n] for n in feeds}
        return helper.make_model(graph, opset_imports=imports, ir_version=8)

    def run(self, mcpu="native", **options):
        model = self.model(**options)
        dims = {"dim": {"tokens": "0..512"}} if options.get("symbolic") else {}
        return lutra.compile(model, mcpu=mcpu, **dims)(self.feeds)["y"]

    def onnx_runtime(self):
        session = onnxruntime.InferenceSession(
            self.model().SerializeToString(), providers=["CPUExecutionProvider"]
        )
        return session.run(None, self.feeds)[0]

    def units(self, expert, x):
        """The hidden units of an expert."""
        sums, a = self.fc1(expert, x), self.attributes
        activation = a["activation_type"]
        if activation != "swiglu":
            units = ACTIVATIONS[activation](sums)
            return units * self.fc3(expert, x) if self.fc3 else units
        pairs = {0: lambda: (sums, self.fc3(expert, x)), 1: lambda: (sums[0::2], sums[1::2]),
                 2: lambda: (sums[: self.inter], sums[self.inter :])}  # fmt: skip
        gate, linear = pairs[self.fusion]()
        limit = a.get("swiglu_limit", np.inf)
        gate, linear = np.minimum(gate, limit), np.clip(linear, -limit, limit)
        return gate * sigmoid(a.get("activation_alpha", 1) * gate) * (linear + a.get("activation_beta", 0))

    def expected(self):
        x = self.x.reshape(-1, self.hidden).astype(np.float64)
        y = np.zeros_like(x)
        logits = self.router.astype(np.float64)
        shares = np.exp(logits - logits.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        if self.routed is not None:
            shares = self.routed.astype(np.float64)
        for token in range(len(x)):
            experts = np.argsort(-logits[token], kind="stable")[: self.attributes["k"]]
            share = shares[token, experts]
            if self.attributes.get("normalize_routing_weights"):
                share = share / share.sum()
            y[token] = sum(s * self.fc2(e, self.units(e, x[token])) for e, s in zip(experts, share, strict=True))
        return y.reshape(self.x.shape)


def near(actual, expected, tolerance=2e-6):
    assert actual.shape == expected.shape
    size = np.abs(expected).max(initial=1e-30)
    np.testing.assert_allclose(actual / size, expected / size, rtol=0, atol=tolerance)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("normalize", [0, 1])
@pytest.mark.parametrize("bits", [0, 4])
def test_activations(activation, normalize, bits):
    mixture = Mixture(k=2, activation_type=activation, normalize_routing_weights=normalize, bits=bits)
    actual = mixture.run()
    near(actual, mixture.expected())
    # ONNX Runtime's QMoE divides by the sum of a token's shares in any case.
    if normalize or not bits:
        near(actual, mixture.onnx_runtime())


SWIGLU = [{}, dict(activation_alpha=1.702, activation_beta=1.0, swiglu_limit=0.5), dict(swiglu_limit=0.0)]


@pytest.mark.parametrize("parameters", SWIGLU, ids=str)
@pytest.mark.parametrize("fusion", [0, 1, 2])
@pytest.mark.parametrize("bits", [0, 4])
def test_swiglu(fusion, parameters, bits):
    parameters = dict(parameters, swiglu_fusion=fusion, normalize_routing_weights=1)
    mixture = Mixture(k=2, activation_type="swiglu", gate=fusion == 0, bits=bits, **parameters)
    actual = mixture.run()
    near(actual, mixture.expected())
    if fusion == 1:
        near(actual, mixture.onnx_runtime())


@pytest.mark.parametrize("activation", ["silu", "gelu"])
@pytest.mark.parametrize("bits", [0, 8])
def test_gates(activation, bits):
    mixture = Mixture(k=2, activation_type=activation, gate=True, bits=bits)
    near(mixture.run(), mixture.expected())


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("block, zeros", [(0, False), (0, True), (16, False), (32, False), (16, True)])
@pytest.mark.parametrize("bias", [False, True])
def test_formats(bits, block, zeros, bias):
    if zeros and HIDDEN % (block * 8 // bits or 1):
        pytest.skip("zero points of a row do not fill bytes")
    mixture = Mixture(k=2, activation_type="silu", normalize_routing_weights=1, bits=bits, block=block,
                      zeros=zeros, bias=bias)  # fmt: skip
    actual = mixture.run()
    near(actual, mixture.expected())
    # Its kernels of blocks round activations to 8 bits, but for 4 bits.
    near(actual, mixture.onnx_runtime(), 2e-2 if block and bits != 4 else 1e-5)


@pytest.mark.parametrize("rows", [(0,), (1,), (3,), (33,), (2, 3), (1, 1)], ids=str)
@pytest.mark.parametrize("bits", [0, 4])
def test_rows(rows, bits):
    mixture = Mixture(rows, k=2, activation_type="silu", bits=bits)
    near(mixture.run(symbolic=len(rows) == 1), mixture.expected())


@pytest.mark.parametrize("bits", [0, 4])
def test_one_route(bits):
    """One token and one expert for it: what goes over the routes is no loop any more."""
    mixture = Mixture((1,), k=1, activation_type="silu", bits=bits)
    near(mixture.run(), mixture.expected())


@pytest.mark.parametrize("chosen", [[0], [4], [1, 3]], ids=str)
@pytest.mark.parametrize("bits", [0, 4])
@pytest.mark.parametrize("symbolic", [False, True])
def test_crowds(chosen, bits, symbolic):
    """All tokens go to few experts, which then have several blocks of them, and others none."""
    mixture = Mixture((300,), k=len(chosen), activation_type="silu", bits=bits)
    mixture.router[:, chosen] += 100
    near(mixture.run(symbolic=symbolic), mixture.expected())


@pytest.mark.parametrize("mcpu", ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "native"])
@pytest.mark.parametrize("bits, accuracy", [(0, 0), (2, 0), (4, 0), (8, 0), (2, 4), (4, 4), (8, 4)])
@pytest.mark.parametrize("rows", [1, 33])
def test_machines(mcpu, bits, accuracy, rows):
    """Neither layer has columns in whole tiles, nor a row whole chunks of codes."""
    sizes = dict(hidden=44, inter=28) if bits else dict(hidden=37, inter=19)
    level = dict(accuracy_level=accuracy) if accuracy else {}
    mixture = Mixture((rows,), k=2, activation_type="silu", bits=bits, **sizes, **level)
    near(mixture.run(mcpu), mixture.expected(), 2e-2 if accuracy else 2e-6)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_accuracy(bits):
    """Level 4 lets numbers be rounded to bytes, and only that does."""
    options = dict(k=2, activation_type="silu", bits=bits, block=32, zeros=bits == 8)
    exact, rounded = Mixture((40,), **options), Mixture((40,), accuracy_level=4, **options)
    expected, actual = exact.expected(), rounded.run()
    near(exact.run(), expected)
    near(actual, expected, 2e-2)
    assert np.abs(actual - expected).max() > 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("mcpu", ["x86-64-v3", "native"])
@pytest.mark.parametrize("bits, zeros", [(2, False), (4, False), (4, True)])
def test_tables(mcpu, bits, zeros, tmp_path):
    """At level 4 sums may be looked up, in tables of each place's activations."""
    mixture = Mixture((40,), k=2, activation_type="silu", bits=bits, accuracy_level=4, zeros=zeros)
    options = dict(mcpu=mcpu, lookups="always", report=f"kernels:{tmp_path / 'kernels'}")
    model = lutra.compile(mixture.model(), **options)
    near(model(mixture.feeds)["y"], mixture.expected(), 3e-2)
    assert "mpgemm.gather_matmul tables" in (tmp_path / "kernels").read_text()


def test_report(tmp_path):
    """Blocks of tokens are multiplied in each of three layers, two of which are one kernel."""
    report = tmp_path / "kernels.json"
    mixture = Mixture((40,), k=2, activation_type="silu", gate=True, bits=4)
    lutra.compile(mixture.model(), mcpu="native", report=f"kernels:{report}")
    kernels = json.loads(report.read_text())["kernels"]
    products = [k for k in kernels if k["operation"] == "mpgemm.gather_matmul"]
    assert [len(k["dispatches"]) for k in products] == [2, 1]
    assert [k["flops"] for k in products] == [2 * 40 * 2 * HIDDEN * INTER] * 2


@pytest.mark.parametrize("k", [1, 3, EXPERTS])
def test_counts(k):
    near((m := Mixture(k=k, activation_type="relu", normalize_routing_weights=1)).run(), m.expected())


@pytest.mark.parametrize("normalize", [0, 1])
def test_router_weights(normalize):
    """Logits choose the experts, and weights of their own say what each counts."""
    mixture = Mixture(k=2, activation_type="silu", bits=4, routed=True, normalize_routing_weights=normalize)
    actual = mixture.run()
    near(actual, mixture.expected())
    near(actual, mixture.onnx_runtime(), 1e-5)


@pytest.mark.parametrize("bits", [0, 4])
def test_computed_weights(bits):
    mixture = Mixture(k=2, activation_type="silu", bits=bits, block=16 if bits else 0)
    near(mixture.run(constant=False), mixture.expected())


@pytest.mark.parametrize("bits", [0, 4])
def test_half(bits):
    mixture = Mixture(k=2, activation_type="silu", bits=bits, dtype=np.float16)
    actual = mixture.run()
    assert actual.dtype == np.float16
    near(actual.astype(np.float64), mixture.expected(), 1e-3)


def test_special_logits():
    """Experts are chosen whatever logits are: nothing is read beyond the weights."""
    mixture = Mixture(k=2, activation_type="relu")
    expected = mixture.expected()
    mixture.router[0], mixture.router[1, 2], mixture.router[2] = np.nan, np.inf, -np.inf
    actual = mixture.run()
    assert np.isnan(actual[:3]).all()
    near(actual[3:], expected[3:])


WRONG = [
    (dict(k=0), {}, "expected k in .1, 5., got 0"),
    (dict(k=6), {}, "expected k in .1, 5., got 6"),
    (dict(activation_type="tanh"), {}, "expected activation_type relu, .* got tanh"),
    (dict(swiglu_fusion=3), {}, "expected swiglu_fusion in .0, 2., got 3"),
    (dict(swiglu_fusion=1), {}, "expected swiglu_fusion 0 with activation_type silu, got 1"),
    (dict(activation_type="swiglu"), {}, "expected fc3_experts_weights with"),
    (dict(use_sparse_mixer=1), {}, "expected use_sparse_mixer 0, got 1"),
    (dict(expert_weight_bits=3), {}, "expected expert_weight_bits 2, 4 or 8, got 3"),
    (dict(expert_weight_bits=8), {}, "expected "),
    (dict(quant_type="fp4"), {}, "expected quant_type int, got fp4"),
    (dict(weights_prepacked=1), {}, "expected weights_prepacked in .-1, 0., got 1"),
    (dict(block_size=8), {}, "expected a block_size that is a power of 2 from 16 on, got 8"),
    (dict(block_size=24), {}, "expected a block_size that is a power of 2 from 16 on, got 24"),
    (dict(block_size=64), {}, "expected whole blocks"),
    (dict(block_size=32), {}, "expected whole blocks, and whole bytes of their zero points"),
    ({}, dict(router=(7, 4)), "expected router_probs of shape .7, 5., got .7, 4."),
    ({}, dict(router=(6, 5)), "expected router_probs of shape .7, 5., got .6, 5."),
    ({}, dict(router=(7, 5, 1)), "expected router_probs of rank 2, got rank 3"),
    ({}, dict(input=(7, 31)), "expected input of shape .7, 32., got .7, 31."),
    ({}, dict(input=(32,)), "expected input of rank 2 or 3, got rank 1"),
    ({}, dict(fc1weights=(5, 63, 16)), "expected fc1_experts_weights of shape .5, 64, 16., got .5, 63, 16."),
    ({}, dict(fc2weights=(5, 32)), "expected fc2_experts_weights of rank 3, got rank 2"),
    ({}, dict(fc2weights=(0, 32, 32)), "expected fc2_experts_weights of known shape"),
    ({}, dict(fc1bias=(5, 63)), "expected fc1_experts_bias of shape .5, 64., got .5, 63."),
    ({}, dict(fc2scales=(5, 32, 3)), "expected fc2_scales of shape .5, 32, 4., got .5, 32, 3."),
    ({}, dict(fc1zeros=(5, 64, 2)), "expected fc1_zero_points of shape .5, 64, 1., got .5, 64, 2."),
]  # fmt: skip


@pytest.mark.parametrize("attributes, shapes, reason", WRONG, ids=[w[-1] for w in WRONG])
def test_refused(attributes, shapes, reason):
    mixture = Mixture(k=2, activation_type="silu", bits=4, block=16, zeros=True)
    mixture.attributes.update(attributes)
    inputs = mixture.inputs()
    inputs.update({name: np.ones(shape, inputs[name].dtype) for name, shape in shapes.items()})
    mixture.inputs = lambda: inputs
    with pytest.raises(lutra.CompileError, match=f"node 'experts' .*{reason}"):
        mixture.run()


def test_huge():
    """Sizes of weights that are not there are no sizes to compute with."""
    mixture = Mixture(k=2, activation_type="silu", bits=4)
    model = mixture.model(constant=False)
    # Its shape says how many experts, tokens' elements and units there are.
    shape = {i.name: i for i in model.graph.input}["fc2weights"].type.tensor_type.shape
    for dim in shape.dim:
        dim.dim_value = 2**31 - 2
    with pytest.raises(lutra.CompileError, match="node 'experts' .*expected weights that memory holds"):
        lutra.compile(model)


def test_types():
    mixture = Mixture(k=2, activation_type="silu", bits=4)
    mixture.fc1.weights = mixture.fc1.weights.astype(np.int8)
    with pytest.raises(lutra.CompileError, match="expected fc1_experts_weights of type UINT8, got INT8"):
        mixture.run()
    mixture = Mixture(k=2, activation_type="silu")
    mixture.router = mixture.router.astype(np.float16)
    with pytest.raises(lutra.CompileError, match="expected router_probs of type FLOAT, got FLOAT16"):
        mixture.run()
