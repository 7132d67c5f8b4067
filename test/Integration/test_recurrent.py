# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""LSTM, GRU and RNN beside ONNX Runtime, which knows layout 0 and f32 only: what
else there is is compared with its results for the same numbers."""

import lutra
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
PLAIN = {op: (op, {}) for op in GATES}
VARIANTS = {
    **PLAIN,
    "GRU-after": ("GRU", {"linear_before_reset": 1}),
    "LSTM-coupled": ("LSTM", {"input_forget": 1, "peepholes": True}),
}
TOLERANCE = {np.float16: 5e-3, np.float32: 5e-5, np.float64: 5e-5}


class Net:
    """A net with one node, its operands in f32 and in layout 0."""

    def __init__(self, variant, steps, batch, hidden, direction="forward",
                 lengths=False, initial=True, peepholes=False, **attributes):  # fmt: skip
        self.op, extra = VARIANTS[variant]
        self.attributes = {**extra, **attributes, "direction": direction}
        peepholes = self.attributes.pop("peepholes", peepholes)
        self.hidden = hidden
        random = np.random.default_rng(5)
        directions = 2 if direction == "bidirectional" else 1
        rows = GATES[self.op] * hidden

        def uniform(*shape):
            return (random.uniform(-1, 1, shape) / np.sqrt(hidden)).astype(np.float32)

        self.weights = {
            "w": uniform(directions, rows, 6),
            "r": uniform(directions, rows, hidden),
            "b": uniform(directions, 2 * rows),
        }
        self.inputs = {"x": random.standard_normal((steps, batch, 6), np.float32)}
        if lengths:
            self.inputs["lengths"] = random.integers(1, steps + 1, batch).astype(np.int32)
        states = ["h", "c"] if self.op == "LSTM" else ["h"]
        for state in states if initial else []:
            shape = (directions, batch, hidden)
            self.inputs[state] = random.standard_normal(shape, np.float32)
        if peepholes:
            self.weights["p"] = uniform(directions, 3 * hidden)
        self.outputs = ["y", "y_h", "y_c"][: 1 + len(states)]
        self.read = set(self.outputs)

    def model(self, layout=0, dtype=np.float32, symbolic=False, weights_are="weights"):
        operands = {**self.weights, **self.inputs}
        names = [n if n in operands else "" for n in ("x", "w", "r", "b", "lengths", "h")]
        if self.op == "LSTM":
            names += [n if n in operands else "" for n in ("c", "p")]
        attributes = {"layout": layout, "hidden_size": self.hidden, **self.attributes}
        results = [name if name in self.read else "" for name in self.outputs]
        node = helper.make_node(self.op, names, results, "net", **attributes)
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        constants, inputs = [], []
        for name, array in self.feed(layout, dtype).items():
            shape = list(array.shape)
            if symbolic:
                batch, steps = (0, 1) if layout else (1, 0)
                shape[{"x": batch, "lengths": 0}.get(name, batch)] = "batch"
                if name == "x":
                    shape[steps] = "steps"
            element = TensorProto.INT32 if name == "lengths" else kind
            inputs.append(helper.make_tensor_value_info(name, element, shape))
        for name, array in self.weights.items():
            array = array.astype(dtype)
            if weights_are == "weights":
                constants.append(numpy_helper.from_array(array, name))
            else:
                inputs.append(helper.make_tensor_value_info(name, kind, array.shape))
        outputs = [
            helper.make_tensor_value_info(name, kind, None)
            for name in self.outputs
            if name in self.read
        ]
        graph = helper.make_graph([node], "net", inputs, outputs, constants)
        opset = helper.make_opsetid("", 22)
        return helper.make_model(graph, opset_imports=[opset], ir_version=10)

    def feed(self, layout, dtype):
        def laid_out(name, array):
            if name == "lengths":
                return array
            array = array.astype(dtype)
            return array.swapaxes(0, 1).copy() if layout else array

        return {name: laid_out(name, array) for name, array in self.inputs.items()}

    def expected(self, layout):
        model = self.model().SerializeToString()
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        names = [name for name in self.outputs if name in self.read]
        results = dict(zip(names, session.run(None, self.inputs)))
        if layout:
            axes = {"y": (2, 0, 1, 3)}
            return {n: a.transpose(axes.get(n, (1, 0, 2))) for n, a in results.items()}
        return results

    def check(self, layout=0, dtype=np.float32, weights_are="weights", **options):
        model = self.model(layout, dtype, options.pop("symbolic", False), weights_are)
        arrays = self.feed(layout, dtype)
        if weights_are == "inputs":
            arrays |= {n: a.astype(dtype) for n, a in self.weights.items()}
        actual = lutra.compile(model, **options)(arrays)
        for name, expected in self.expected(layout).items():
            assert actual[name].shape == expected.shape
            assert actual[name].dtype == dtype
            np.testing.assert_allclose(
                actual[name], expected, rtol=1e-5, atol=TOLERANCE[dtype], err_msg=name
            )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("symbolic", [False, True], ids=["static", "symbolic"])
def test_directions(variant, direction, symbolic):
    Net(variant, 9, 5, 7, direction, lengths=True).check(symbolic=symbolic)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_types(variant, layout, dtype):
    net = Net(variant, 6, 3, 16, "bidirectional", lengths=layout == 1)
    net.check(layout, dtype, symbolic=layout == 1)


# One row, part of a task, tasks of which the last is short; more tasks than one
# have the work for only where sizes are not small.
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [(1, 1, 1), (1, 3, 64), (200, 1, 64), (30, 33, 64)])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_sizes(variant, size, direction):
    Net(variant, *size, direction, initial=size[1] != 3).check(symbolic=size[0] == 30)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("read", ["y", "y_h"])
@pytest.mark.parametrize("size", [(6, 3, 7), (30, 33, 64)])
def test_one_output(variant, read, size):
    net = Net(variant, *size, "bidirectional", lengths=size[0] == 6)
    net.read = {read}
    net.check(symbolic=size[0] == 30)


@pytest.mark.parametrize("mcpu", ["x86-64", "x86-64-v3"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_levels(variant, mcpu):
    Net(variant, 20, 13, 40, "reverse").check(mcpu=mcpu)


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_as_inputs(variant):
    Net(variant, 6, 3, 7, "bidirectional").check(weights_are="inputs", symbolic=True)


@pytest.mark.parametrize("variant", VARIANTS)
def test_clip(variant):
    Net(variant, 6, 3, 7, clip=0.25).check()


ACTIVATIONS = {
    "Relu": (), "Tanh": (), "Sigmoid": (), "Softsign": (), "Softplus": (),
    "LeakyRelu": (0.2,), "ThresholdedRelu": (0.3,), "Elu": (0.7,),
    "Affine": (0.4, 0.1), "ScaledTanh": (0.8, 0.7), "HardSigmoid": (0.3, 0.4),
}  # fmt: skip


def activated(op, names, direction):
    """A net whose gates have these activations, as many as it needs."""
    count = {"LSTM": 3, "GRU": 2, "RNN": 1}[op] * (1 + (direction == "bidirectional"))
    names = [names[i % len(names)] for i in range(count)]
    numbers = [ACTIVATIONS[name] for name in names]
    attributes = {
        "activation_alpha": [n[0] for n in numbers if n],
        "activation_beta": [n[1] for n in numbers if len(n) > 1],
    }
    used = {name: value for name, value in attributes.items() if value}
    return Net(op, 5, 3, 7, direction, activations=names, **used)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(op, name):
    activated(op, [name], "forward").check()


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("layout", [0, 1])
def test_directions_that_differ(op, layout):
    names = ["HardSigmoid", "Tanh", "ScaledTanh", "Sigmoid"]
    activated(op, names, "bidirectional").check(layout, symbolic=layout == 1)


def test_refusals():
    cases = [
        ({"direction": "sideways"}, "unknown direction 'sideways'"),
        ({"clip": -1.0}, "expected clip above 0, got -1"),
        ({"activations": ["Tanh"]}, "expected 3 activations, got 1"),
        ({"activations": ["Tanh", "Sine", "Tanh"]}, "unknown activation 'Sine'"),
    ]
    for attributes, reason in cases:
        net = Net("LSTM", 2, 2, 3)
        net.attributes |= attributes
        with pytest.raises(lutra.CompileError, match=reason):
            lutra.compile(net.model())
    with pytest.raises(lutra.CompileError, match="expected a batch of sequences"):
        lutra.compile(Net("RNN", 2, 0, 3).model())
    net = Net("LSTM", 2, 2, 3)
    net.weights["b"] = net.weights["b"][:, :-1]
    with pytest.raises(lutra.CompileError, match=r"expected input 3 of shape \[1, 24\], got"):
        lutra.compile(net.model())
