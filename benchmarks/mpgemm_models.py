# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with weights of few bits, as ONNX Runtime's MatMulNBits.

A model has one node for each copy of the weights, with an input and an output of its
own: nobody can share what is done to activations, and with enough copies everybody
reads weights from DRAM. Everything is random and stays what it is from run to run.
"""

import math
from typing import NamedTuple

import numpy as np
from external import ExternalWeights
from harness import aligned
from onnx import TensorProto, helper, save

MICROSOFT = "com.microsoft"
COPIES_BYTES = 256 << 20
# Results are checked at so many places of each side.
CHECKED_ROWS, CHECKED_COLUMNS = 8, 97


class Case(NamedTuple):
    """x[rows, k] times what codes[n, k] stand for, transposed. With the bits "t" codes
    have 2 bits and one of three values; zero points are "none", "packed" or "float"."""

    bits: str
    group: int
    rows: int
    k: int
    n: int
    zero: str = "none"
    copies: int = 1

    @property
    def width(self):
        """Of a code, in bits."""
        return 2 if self.bits == "t" else int(self.bits)

    @property
    def groups(self):
        return -(-self.k // self.group)

    @property
    def packed(self):
        """Bytes of a group of codes."""
        return self.group * self.width // 8

    @property
    def bytes(self):
        """Of a copy's weights, in the model."""
        zero = {"none": 0, "packed": -(-self.groups * self.width // 8),
                "float": 4 * self.groups}[self.zero]  # fmt: skip
        return self.n * (self.groups * (self.packed + 4) + zero)

    @property
    def operations(self):
        """Of all copies."""
        return 2 * self.rows * self.k * self.n * self.copies

    def from_memory(self):
        return self._replace(copies=math.ceil(COPIES_BYTES / self.bytes))


class Weights(NamedTuple):
    """Of one copy, as MatMulNBits reads them."""

    codes: np.ndarray
    scales: np.ndarray
    zeros: np.ndarray

    @staticmethod
    def random(case, seed):
        random = np.random.default_rng(seed)

        def codes(*shape):
            if case.bits != "t":
                return random.integers(0, 256, shape, np.uint8)
            # Around the zero point where none is given, which is 2.
            digits = np.indices((3,) * 4).reshape(4, -1).T + 1
            bytes = (digits << (0, 2, 4, 6)).sum(1).astype(np.uint8)
            return bytes[random.integers(0, len(bytes), shape, np.uint8)]

        shape = case.n, case.groups
        largest = 2.0 ** -case.width / math.sqrt(case.k)
        scales = ((1 + random.random(shape, np.float32)) * np.float32(largest)).astype(np.float32)
        zeros = None
        if case.zero == "packed":
            zeros = codes(case.n, -(-case.groups * case.width // 8))
        elif case.zero == "float":
            zeros = random.random(shape, np.float32) * np.float32(2**case.width)
        return Weights(codes(*shape, case.packed), scales, zeros)

    def decode(self, case, rows):
        """Some rows of the matrix, in f64."""
        codes = integers(self.codes[rows], case.width)
        if case.zero == "float":
            zeros = self.zeros[rows].astype(np.float64)
        elif case.zero == "packed":
            zeros = integers(self.zeros[rows], case.width)[:, : case.groups]
        else:
            zeros = np.full((1, 1), 1 << (case.width - 1))
        values = (codes - zeros[..., None]) * self.scales[rows, :, None].astype(np.float64)
        return values.reshape(len(rows), -1)[:, : case.k]


def integers(packed, width):
    """Codes of `width` bits in bytes, low bits first, along the last axis."""
    bits = np.unpackbits(packed, axis=-1, bitorder="little")
    bits = bits[..., : bits.shape[-1] // width * width]
    bits = bits.reshape(*packed.shape[:-1], -1, width)
    return bits @ (1 << np.arange(width))


class Data:
    """The model of a case in a folder, its inputs, and what it should answer."""

    def __init__(self, case, folder):
        self.case, self.path = case, folder / "mpgemm.onnx"
        random = np.random.default_rng(1)
        self.inputs = aligned((case.copies, case.rows, case.k), np.float32)
        self.inputs[...] = random.standard_normal(self.inputs.shape, np.float32)
        self.rows = np.unique(np.linspace(0, case.rows - 1, CHECKED_ROWS).astype(int))
        self.columns = np.unique(np.linspace(0, case.n - 1, CHECKED_COLUMNS).astype(int))
        with ExternalWeights(folder / "mpgemm.onnx.data") as external:
            self.write(external)

    def write(self, external):
        case, nodes, inputs, outputs = self.case, [], [], []
        for copy in range(case.copies):
            weights = Weights.random(case, copy)
            names = [external.add(f"{name}{copy}", array)
                     for name, array in weights._asdict().items() if array is not None]  # fmt: skip
            nodes.append(helper.make_node(
                "MatMulNBits", [f"x{copy}", *names], [f"y{copy}"], name=f"product{copy}",
                domain=MICROSOFT, K=case.k, N=case.n, bits=case.width,
                block_size=case.group, accuracy_level=4,
            ))  # fmt: skip
            for side, name, size in ((inputs, "x", case.k), (outputs, "y", case.n)):
                side.append(helper.make_tensor_value_info(
                    f"{name}{copy}", TensorProto.FLOAT, [case.rows, size]
                ))  # fmt: skip
        graph = helper.make_graph(nodes, "mpgemm", inputs, outputs, external.tensors)
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
        save(helper.make_model(graph, opset_imports=opsets, ir_version=10), self.path)
        # Of the last copy, whoever got the order wrong.
        chosen = weights.decode(case, self.columns)
        rows = self.inputs[-1][self.rows].astype(np.float64)
        self.expected = rows @ chosen.T
        # What a product of random signs has: a few may happen to be small.
        self.scale = math.sqrt((rows**2).mean() * (chosen**2).mean() * case.k)

    def error(self, output):
        """Of the last copy's result: root of the mean square, relative."""
        part = output[np.ix_(self.rows, self.columns)].astype(np.float64)
        return math.sqrt(((part - self.expected) ** 2).mean()) / self.scale
