#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions of bytes beside our own of floats and ONNX Runtime's of bytes.

    .venv/bin/python benchmarks/convolutions.py [--case 3x3 1x1] [--form qlinear qdq]
        [--threads 1 2] [--rounds 20] [--clock wall|cpu] [--mcpu CPU]

The forms are QLinearConv (bytes in and out) and QDQ, as quantize_static writes it, with
Relu. "network" is a small residual net in QDQ form. Times are medians of rounds in turns.
"""

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import lutra
import numpy as np
import onnx
from harness import add_turn_options, check_turn_options, median, onnx_runtime, take_turns
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static


class Case(NamedTuple):
    channels: int
    features: int
    size: int
    kernel: int
    stride: int = 1
    group: int = 1

    @property
    def pads(self):
        return [self.kernel // 2] * 4

    @property
    def weight(self):
        return self.features, self.channels // self.group, self.kernel, self.kernel

    @property
    def attributes(self):
        return {"pads": self.pads, "strides": [self.stride] * 2, "group": self.group}


CASES = {
    "3x3": Case(64, 64, 56, 3),
    "3x3-small": Case(256, 256, 14, 3),
    "3x3-tiny": Case(512, 512, 7, 3),
    "1x1": Case(256, 64, 56, 1),
    "1x1-wide": Case(64, 256, 56, 1),
    "stride": Case(128, 128, 56, 3, 2),
    "stem": Case(3, 64, 224, 7, 2),
    "grouped": Case(128, 128, 28, 3, 1, 8),
    "depthwise": Case(144, 144, 56, 3, 1, 144),
    "depthwise-stride": Case(144, 144, 56, 3, 2, 144),
}


def model(nodes, inputs, outputs, constants):
    graph = helper.make_graph(
        nodes, "convolution", inputs, outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def quantities(case, random):
    f = case.features
    return {
        "w": random.integers(-127, 128, case.weight).astype(np.int8),
        "ws": random.uniform(1e-3, 2e-3, f).astype(np.float32), "wz": np.zeros(f, np.int8),
        "xs": np.float32(0.02), "xz": np.uint8(120), "ys": np.float32(0.05), "yz": np.uint8(110),
        "b": random.integers(-1000, 1000, f).astype(np.int32),
    }  # fmt: skip


def qlinear(case, random):
    constants = quantities(case, random)
    order = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    node = helper.make_node("QLinearConv", order, ["y"], **case.attributes)
    shape = (1, case.channels, case.size, case.size)
    x = helper.make_tensor_value_info("x", TensorProto.UINT8, shape)
    y = helper.make_tensor_value_info("y", TensorProto.UINT8, None)
    return model([node], [x], [y], constants), random.integers(0, 256, shape).astype(np.uint8)


def qdq(case, random):
    """Bytes in and out, too: what is around a convolution in a net."""
    constants = quantities(case, random)
    constants["bs"], constants["yz"] = constants["ws"] * constants["xs"], np.uint8(0)
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["bf"], axis=0),
        helper.make_node("Conv", ["xf", "wf", "bf"], ["c"], **case.attributes),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "ys", "yz"], ["y"]),
    ]
    shape = (1, case.channels, case.size, case.size)
    x = helper.make_tensor_value_info("x", TensorProto.UINT8, shape)
    y = helper.make_tensor_value_info("y", TensorProto.UINT8, None)
    return model(nodes, [x], [y], constants), random.integers(0, 256, shape).astype(np.uint8)


def floats(case, random):
    constants = {
        "w": random.standard_normal(case.weight).astype(np.float32),
        "b": random.standard_normal(case.features).astype(np.float32),
    }
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], **case.attributes)
    shape = (1, case.channels, case.size, case.size)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    return model([node], [x], [y], constants), random.standard_normal(shape).astype(np.float32)


FORMS = {"qlinear": qlinear, "qdq": qdq}


def network():
    """A stem, and four stages of two residual blocks."""
    random, constants, nodes = np.random.default_rng(7), {}, []

    def conv(x, name, f, c, k, stride=1, relu=True):
        constants[f"{name}.w"] = (random.standard_normal((f, c, k, k)) / (c * k * k) ** 0.5).astype(np.float32)
        constants[f"{name}.b"] = random.standard_normal(f).astype(np.float32) * np.float32(0.1)
        nodes.append(helper.make_node(
            "Conv", [x, f"{name}.w", f"{name}.b"], [name], name, strides=[stride] * 2, pads=[k // 2] * 4))  # fmt: skip
        if relu:
            nodes.append(helper.make_node("Relu", [name], [f"{name}.r"]))
        return f"{name}.r" if relu else name

    x = conv("x", "stem", 64, 3, 7, 2)
    nodes.append(helper.make_node("MaxPool", [x], ["pool"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4))
    x, channels = "pool", 64
    for stage, features in enumerate([64, 128, 256, 512]):
        for block in range(2):
            name, stride = f"s{stage}b{block}", 2 if stage and not block else 1
            skip = x if features == channels and stride == 1 else conv(x, f"{name}.skip", features, channels, 1, stride, False)
            x = conv(x, f"{name}.c1", features, channels, 3, stride)
            x = conv(x, f"{name}.c2", features, features, 3, 1, False)
            nodes.append(helper.make_node("Add", [x, skip], [f"{name}.sum"]))
            nodes.append(helper.make_node("Relu", [f"{name}.sum"], [f"{name}.out"]))
            x, channels = f"{name}.out", features
    constants["fc"] = random.standard_normal((512, 1000)).astype(np.float32) * np.float32(0.05)
    nodes += [
        helper.make_node("GlobalAveragePool", [x], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "fc"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 224, 224))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1000))
    return model(nodes, [x], [y], constants)


class Samples(CalibrationDataReader):
    def __init__(self, x):
        self.left = iter([{"x": x}])

    def get_next(self):
        return next(self.left, None)


def quantized_network(folder):
    x = np.random.default_rng(3).standard_normal((1, 3, 224, 224)).astype(np.float32)
    source, target = folder / "network.onnx", folder / "network_qdq.onnx"
    onnx.save(network(), source)
    quantize_static(
        source, target, Samples(x), QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return source, target, x


def contestants(paths, threads, mcpu):
    """Runs by name, of {name: (path, x)}."""
    runs = {}
    for name, (path, x) in paths.items():
        ours = lutra.compile(path, path.with_suffix(".so"), mcpu=mcpu)
        ours = lutra.load(ours, threads=threads) if isinstance(ours, (str, Path)) else lutra.load(path.with_suffix(".so"), threads=threads)
        runs[f"{name}"] = lambda ours=ours, x=x: ours({"x": x})["y"]
        if name != "float":
            peer = onnx_runtime(str(path), threads)
            runs[f"{name} ONNX Runtime"] = lambda peer=peer, x=x: peer.run(None, {"x": x})[0]
    return runs


def check(runs, form):
    ours, theirs = (np.asarray(runs[name]()).astype(np.float64) for name in (form, f"{form} ONNX Runtime"))
    return abs(ours - theirs).max()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", nargs="+", default=[*CASES, "network"], choices=[*CASES, "network"])
    parser.add_argument("--form", nargs="+", default=list(FORMS), choices=FORMS)
    parser.add_argument("--mcpu", default="native")
    add_turn_options(parser, 20)
    options = parser.parse_args()
    check_turn_options(parser, options)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in options.case:
            paths = {}
            if case == "network":
                source, target, x = quantized_network(folder)
                paths = {"float": (source, x), "qdq": (target, x)}
            else:
                for form, make in {"float": floats, **{f: FORMS[f] for f in options.form}}.items():
                    proto, x = make(CASES[case], np.random.default_rng(1))
                    path = folder / f"{case}-{form}.onnx"
                    onnx.save(proto, path)
                    paths[form] = path, x
            for threads in options.threads:
                runs = contestants(paths, threads, options.mcpu)
                seconds = take_turns(runs, options.rounds, clock=options.clock)
                time = {name: median(each) for name, each in seconds.items()}
                for form in [form for form in paths if form != "float"]:
                    theirs = time[f"{form} ONNX Runtime"]
                    print(
                        f"{case:17} {form:8} {threads} thread{'s' * (threads > 1)}  ours {time[form] * 1e3:8.3f} ms"
                        f"  our floats {time['float'] * 1e3:8.3f} ms ({time['float'] / time[form]:5.2f})"
                        f"  ONNX Runtime {theirs * 1e3:8.3f} ms ({theirs / time[form]:5.2f})"
                        f"  largest difference {check(runs, form):.3g}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
