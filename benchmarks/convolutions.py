#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions of bytes beside our own of floats, and ONNX Runtime's of bytes.

    .venv/bin/python benchmarks/convolutions.py [--case 3x3 1x1 network] [--form qlinear qdq]
        [--quantize int8:a8] [--threads 1 2] [--rounds 20] [--clock wall|cpu] [--mcpu CPU]

The forms are QLinearConv, and what quantize_static writes of Conv and Relu: bytes are
what comes in and goes out of both. With --quantize, the float convolution with weights
that Lutra quantizes is beside it too. "network" is a residual net of the size of
ResNet-18 in the second form. Times are medians of rounds, which are taken in turns.
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
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)


class Case(NamedTuple):
    channels: int
    features: int
    size: int
    kernel: int
    stride: int = 1
    group: int = 1

    @property
    def x(self):
        return 1, self.channels, self.size, self.size

    @property
    def weight(self):
        return self.features, self.channels // self.group, self.kernel, self.kernel

    @property
    def attributes(self):
        return {
            "pads": [self.kernel // 2] * 4,
            "strides": [self.stride] * 2,
            "group": self.group,
        }


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


def model(nodes, x, y, constants):
    graph = helper.make_graph(
        nodes, "convolution",
        [helper.make_tensor_value_info("x", *x)],
        [helper.make_tensor_value_info("y", *y)],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def of_bytes(case, nodes, constants, random):
    """A model of bytes in and out, and x."""
    info = TensorProto.UINT8
    x = random.integers(0, 256, case.x).astype(np.uint8)
    return model(nodes, (info, case.x), (info, None), constants), x


def quantities(case, random):
    f = case.features
    return {
        "w": random.integers(-127, 128, case.weight).astype(np.int8),
        "ws": random.uniform(1e-3, 2e-3, f).astype(np.float32),
        "wz": np.zeros(f, np.int8),
        "xs": np.float32(0.02),
        "xz": np.uint8(120),
        "ys": np.float32(0.05),
        "yz": np.uint8(0),
        "b": random.integers(-1000, 1000, f).astype(np.int32),
    }


def qlinear(case, random):
    order = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    node = helper.make_node("QLinearConv", order, ["y"], **case.attributes)
    return of_bytes(case, [node], quantities(case, random), random)


def qdq(case, random):
    constants = quantities(case, random)
    constants["bs"] = constants["ws"] * constants["xs"]
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["bf"], axis=0),
        helper.make_node("Conv", ["xf", "wf", "bf"], ["c"], **case.attributes),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "ys", "yz"], ["y"]),
    ]
    return of_bytes(case, nodes, constants, random)


def floats(case, random):
    constants = {
        "w": random.standard_normal(case.weight).astype(np.float32),
        "b": random.standard_normal(case.features).astype(np.float32),
    }
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], **case.attributes)
    info = TensorProto.FLOAT
    x = random.standard_normal(case.x).astype(np.float32)
    return model([node], (info, case.x), (info, None), constants), x


FORMS = {"qlinear": qlinear, "qdq": qdq}


class Network:
    """Layers of a residual net, with random weights."""

    def __init__(self):
        self.random = np.random.default_rng(7)
        self.nodes, self.constants = [], {}

    def add(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def conv(self, x, name, features, channels, kernel, stride=1):
        shape = features, channels, kernel, kernel
        deviation = (channels * kernel * kernel) ** -0.5
        w = self.random.standard_normal(shape) * deviation
        b = self.random.standard_normal(features) * 0.1
        self.constants |= {f"{name}.w": w.astype(np.float32), f"{name}.b": b.astype(np.float32)}
        pads, strides = [kernel // 2] * 4, [stride] * 2
        return self.add("Conv", [x, f"{name}.w", f"{name}.b"], name, pads=pads, strides=strides)

    def block(self, x, name, features, channels, stride):
        skip = x
        if stride != 1 or features != channels:
            skip = self.conv(x, f"{name}.skip", features, channels, 1, stride)
        y = self.conv(x, f"{name}.first", features, channels, 3, stride)
        y = self.conv(self.add("Relu", [y], f"{name}.relu"), f"{name}.second", features, features, 3)
        return self.add("Relu", [self.add("Add", [y, skip], f"{name}.sum")], f"{name}.y")

    def model(self):
        x = self.add("Relu", [self.conv("x", "stem", 64, 3, 7, 2)], "stem.relu")
        x, channels = self.add("MaxPool", [x], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), 64
        for stage, features in enumerate([64, 128, 256, 512]):
            x = self.block(x, f"{stage}.0", features, channels, 2 if stage else 1)
            x, channels = self.block(x, f"{stage}.1", features, features, 1), features
        self.constants["fc"] = self.random.standard_normal((512, 1000)).astype(np.float32)
        x = self.add("Flatten", [self.add("GlobalAveragePool", [x], "mean")], "flat")
        self.add("MatMul", [x, "fc"], "y")
        info = TensorProto.FLOAT
        return model(self.nodes, (info, (1, 3, 224, 224)), (info, (1, 1000)), self.constants)


class Samples(CalibrationDataReader):
    def __init__(self, x):
        self.left = iter([{"x": x}])

    def get_next(self):
        return next(self.left, None)


def networks(folder):
    """The paths of the network of floats and in QDQ form, with x."""
    x = np.random.default_rng(3).standard_normal((1, 3, 224, 224)).astype(np.float32)
    source, target = folder / "network.onnx", folder / "network-qdq.onnx"
    onnx.save(Network().model(), source)
    quantize_static(
        source, target, Samples(x), QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return {"float": (source, x), "qdq": (target, x)}


def models(case, folder, forms):
    """By the name of the form, the path of a model and its x."""
    if case == "network":
        return networks(folder)
    found = {}
    for form, make in {"float": floats, **{form: FORMS[form] for form in forms}}.items():
        proto, x = make(CASES[case], np.random.default_rng(1))
        path = folder / f"{case}-{form}.onnx"
        onnx.save(proto, path)
        found[form] = path, x
    return found


def contestants(paths, threads, options):
    """What to run, by form and who runs it."""
    runs = {}

    def add_ours(name, path, x, **settings):
        artifact = path.parent / f"{path.stem}-{name}.so"
        lutra.compile(path, artifact, mcpu=options.mcpu, **settings)
        ours = lutra.load(artifact, threads=threads)
        runs[name, "ours"] = lambda: ours({"x": x})["y"]

    def add_theirs(name, path, x):
        peer = onnx_runtime(str(path), threads)
        runs[name, "theirs"] = lambda: peer.run(None, {"x": x})[0]

    for name, (path, x) in paths.items():
        add_ours(name, path, x)
        if name != "float":
            add_theirs(name, path, x)
    if options.quantize:
        add_ours(options.quantize, *paths["float"], quantize=options.quantize)
    return runs


def report(case, threads, runs, seconds):
    time = {who: median(each) * 1e3 for who, each in seconds.items()}
    ours, reference = {name: t for (name, who), t in time.items() if who == "ours"}, time["float", "ours"]
    for name in [name for name in ours if name != "float"]:
        line = f"{case:17} {name:8} {threads:2}  {ours[name]:8.3f}  {reference:8.3f} {reference / ours[name]:6.2f}"
        if (name, "theirs") in time:
            theirs = time[name, "theirs"]
            results = [runs[name, who]().astype(np.float64) for who in ("ours", "theirs")]
            line += f"  {theirs:8.3f} {theirs / ours[name]:6.2f}  {abs(results[0] - results[1]).max():.2g}"
        print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = [*CASES, "network"]
    parser.add_argument("--case", nargs="+", default=every, choices=every)
    parser.add_argument("--form", nargs="+", default=list(FORMS), choices=FORMS)
    parser.add_argument("--quantize", help="a rule, as lutra-compile has it")
    parser.add_argument("--mcpu", default="native")
    add_turn_options(parser, 20)
    options = parser.parse_args()
    check_turn_options(parser, options)
    print("milliseconds: case, form, threads, ours, our floats (times), ONNX Runtime (times), difference")
    with tempfile.TemporaryDirectory() as name:
        for case in options.case:
            paths = models(case, Path(name), options.form)
            for threads in options.threads:
                runs = contestants(paths, threads, options)
                report(case, threads, runs, take_turns(runs, options.rounds, clock=options.clock))


if __name__ == "__main__":
    main()
