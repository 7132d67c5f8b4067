# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with weights of few bits as ONNX Runtime, OpenVINO and ggml do them.

A Way runs all copies of a case in turn; `result` is what the last one gave.
"""

import ctypes
import itertools
import time

import llama_cpp
import numpy as np
from harness import aligned, onnx_runtime, take_turns, typical

try:
    import openvino
except ImportError:
    openvino = None

# Which types of ggml count for a number of bits, and what it calls them.
GGML_TYPES = {
    "1": {"Q1_0": 41},
    "t": {"TQ2_0": 35, "TQ1_0": 34, "Q2_0": 42, "Q2_K": 10},
    "2": {"Q2_K": 10, "Q2_0": 42},
    "3": {"Q3_K": 11},
    "4": {"Q4_0": 2, "Q4_K": 12, "IQ4_NL": 20},
    "5": {"Q5_0": 6, "Q5_K": 13},
    "6": {"Q6_K": 14},
    "8": {"Q8_0": 8},
}
GGML_DISTINCT = 32
# Bits and zero points that it knows.
ONNX_RUNTIME = {*itertools.product((2, 4, 8), ("none", "packed")), (2, "float"), (4, "float")}
# A first look at somebody's ways takes so many rounds.
LOOKS = 3
# What takes less is repeated so many times for one round.
SHORT_RUN, REPEATS = 0.02, 7  # seconds, and times


class Way:
    """Something to run, and how exact it may be expected to be."""

    tolerance = 2e-2

    def __init__(self, who, way):
        self.who, self.way = who, way

    def error(self, data):
        return data.error(self.result())

    def turn(self, clock):
        """One round, as the median of its runs."""
        begin = time.perf_counter()
        self.run()
        short = time.perf_counter() - begin < SHORT_RUN
        return typical([self.run] * (REPEATS if short else 1), clock)


class OnnxRuntime(Way):
    def __init__(self, data, threads, way, **entries):
        super().__init__("ONNX Runtime", way)
        self.session = onnx_runtime(data.path, threads, **entries)
        self.binding = self.session.io_binding()
        case = data.case
        self.outputs = aligned((case.copies, case.rows, case.n), np.float32)
        for copy, (x, y) in enumerate(zip(data.inputs, self.outputs)):
            self.binding.bind_cpu_input(f"x{copy}", x)
            self.binding.bind_output(f"y{copy}", "cpu", 0, y.dtype, y.shape, y.ctypes.data)

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def result(self):
        return self.outputs[-1]


class OpenVino(Way):
    def __init__(self, data, threads, way, **options):
        super().__init__("OpenVINO", way)
        compiled = openvino.Core().compile_model(data.path, "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32", **options,
        })  # fmt: skip
        self.request = compiled.create_infer_request()
        for copy, x in enumerate(data.inputs):
            self.request.set_tensor(f"x{copy}", openvino.Tensor(x, shared_memory=True))
        self.last = f"y{data.case.copies - 1}"

    def run(self):
        self.request.infer()

    def result(self):
        return self.request.get_tensor(self.last).data


class Ggml(Way):
    """One of its types in one of its layouts, on weights of 1 and -1: how it rounds to
    its types is not what we measure."""

    tolerance = 0.2

    def __init__(self, data, threads, kind, number, layout):
        super().__init__("ggml", f"{kind} {layout_name(layout)}")
        case, pointer, number_type = data.case, ctypes.c_void_p, ctypes.c_long
        self.case = case
        random = np.random.default_rng(2)
        shape = GGML_DISTINCT, case.k
        self.rows = random.integers(0, 2, shape).astype(np.float32) * 2 - 1
        make = llama_cpp.function(
            "products_new", pointer, ctypes.c_int, ctypes.c_int, *[number_type] * 3,
            *[ctypes.c_int] * 2, *[pointer] * 2,
        )  # fmt: skip
        self.products = make(
            number, layout, case.k, case.n, case.rows, case.copies, threads,
            llama_cpp.address(self.rows), llama_cpp.address(data.inputs),
        )  # fmt: skip
        self.compute = llama_cpp.function("products_run", None, pointer)
        self.pause = llama_cpp.function("products_pause", None, pointer, ctypes.c_int)
        self.get = llama_cpp.function("products_result", None, pointer, pointer)
        self.free = llama_cpp.function("products_free", None, pointer)

    def __del__(self):
        if self.products:
            self.free(self.products)

    def run(self):
        self.compute(self.products)

    def turn(self, clock):
        turn = super().turn(clock)

        def run():
            self.pause(self.products, 0)
            seconds = turn()
            self.pause(self.products, 1)
            return seconds

        self.pause(self.products, 1)
        return run

    def error(self, data):
        y = np.empty((self.case.rows, self.case.n), np.float32)
        self.get(self.products, llama_cpp.address(y))
        expected = data.inputs[-1].astype(np.float64) @ self.rows.T
        count = min(GGML_DISTINCT, self.case.n)
        difference = (y[:, :count] - expected[:, :count]).std()
        return difference / expected.std()


def layout_name(layout):
    name = llama_cpp.function("products_layout", ctypes.c_char_p, ctypes.c_int)(layout)
    return name and name.decode()


def fastest(ways, clock):
    """Of those that can be made at all, in turns."""
    ways = list(filter(None, (make() for make in ways)))
    if len(ways) < 2:
        return ways[0] if ways else None
    turns = {way: way.turn(clock) for way in ways}
    seconds = take_turns(turns, LOOKS, 1, clock=clock)
    return min(ways, key=lambda way: min(seconds[way]))


def onnx_runtime_ways(data, threads):
    if (data.case.width, data.case.zero) not in ONNX_RUNTIME:
        return

    yield lambda: OnnxRuntime(data, threads, "level 4")
    if data.case.width == 2:
        yield lambda: OnnxRuntime(data, threads, "tables", **{"mlas.use_lut_gemm": "1"})


def openvino_ways(data, threads):
    def make(way, **options):
        try:
            return OpenVino(data, threads, way, **options)
        except RuntimeError:
            return None

    if openvino:
        yield lambda: make("f32")
        group = str(data.case.group)
        yield lambda: make("int8", DYNAMIC_QUANTIZATION_GROUP_SIZE=group)


def ggml_ways(data, threads):
    def make(kind, number, layout):
        way = Ggml(data, threads, kind, number, layout)
        return way if way.products else None

    if llama_cpp.available():
        layouts = 0
        while layout_name(layouts):
            layouts += 1
        for kind, number in GGML_TYPES.get(data.case.bits, {}).items():
            for layout in range(layouts):
                yield lambda a=(kind, number, layout): make(*a)


PEERS = {"ONNX Runtime": onnx_runtime_ways, "OpenVINO": openvino_ways, "ggml": ggml_ways}


def peers(data, threads, names, clock):
    """The best way of each peer that has one."""
    found = (fastest(PEERS[name](data, threads), clock) for name in names)
    return [way for way in found if way]
