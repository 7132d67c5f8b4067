# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with packed codes: models of them, and what they should give."""

import math

import numpy as np
from onnx import helper, numpy_helper

MICROSOFT = "com.microsoft"


def pack(codes, bits):
    """Codes along the last axis as a stream of bits, the lowest first."""
    bit = np.unpackbits(codes[..., None], axis=-1, bitorder="little")[..., :bits]
    return np.packbits(bit.reshape(*codes.shape[:-1], -1), axis=-1, bitorder="little")


def by_group(x, block):
    """x [..., K] in f32 as [M, groups, block], padded with zeros."""
    x = x.astype(np.float32).reshape(-1, x.shape[-1])
    x = np.pad(x, ((0, 0), (0, -x.shape[-1] % block)))
    return x.reshape(x.shape[0], -1, block)


def rounded(x):
    """Groups as 8-bit integers and their scales."""
    scale = np.abs(x).max(-1, keepdims=True) / np.float32(127)
    return np.rint(np.divide(x, scale, out=np.zeros_like(x), where=scale != 0)), scale


class LowBit:
    """A node, its inputs and its result."""

    def __init__(self, name, n, k, bits=4, block=16, zeros=None, index=None, bias=False,
                 level=None, dtype=np.float32, seed=0):  # fmt: skip
        random = np.random.default_rng(seed + 97 * bits + n + k)
        self.name, self.n, self.k, self.bits, self.block = name, n, k, bits, block
        self.level, self.dtype = level, dtype
        groups = math.ceil(k / block)
        self.codes = random.integers(0, 1 << bits, (n, groups, block), np.uint8)
        self.scales = random.uniform(0.1, 1, (n, groups)).astype(dtype)
        self.zeros = np.full((n, groups), 1 << (bits - 1), np.float32)
        if zeros in ("packed", "flat"):
            self.zeros = random.integers(0, 1 << bits, (n, groups), np.uint8)
        elif zeros == "equal":
            self.zeros = np.full((n, groups), (1 << bits) - 1, np.uint8)
        elif zeros:
            self.zeros = random.uniform(0, 1 << bits, (n, groups)).astype(dtype)
        self.inputs = {
            "b": pack(self.codes, bits),
            "scales": self.scales,
            "zeros": None,
            "index": index,
            "bias": random.standard_normal(n).astype(dtype) if bias else None,
        }
        if zeros in ("packed", "flat", "equal"):
            self.inputs["zeros"] = pack(self.zeros, bits)
        elif zeros:
            self.inputs["zeros"] = self.zeros
        if zeros == "flat":
            for part in ("scales", "zeros"):
                self.inputs[part] = self.inputs[part].reshape(-1)

    def node(self, x):
        names = [x] + [f"{self.name}_{k}" if v is not None else "" for k, v in self.inputs.items()]
        while not names[-1]:
            names.pop()
        level = {} if self.level is None else {"accuracy_level": self.level}
        return helper.make_node(
            "MatMulNBits", names, [self.name], self.name, domain=MICROSOFT, N=self.n, K=self.k,
            bits=self.bits, block_size=self.block, **level,
        )  # fmt: skip

    def arrays(self):
        return {f"{self.name}_{k}": v for k, v in self.inputs.items() if v is not None}

    def expected(self, x):
        """The result in f64, for x rounded as the level says."""
        index = self.inputs["index"]
        parts = by_group(x, self.block).astype(np.float64)
        codes = self.codes.astype(np.float64)
        scales, zeros = (part.astype(np.float64) for part in (self.scales, self.zeros))
        group = np.arange(codes.shape[1] * self.block) // self.block
        if index is not None:
            group[: len(index)] = index
        weight = (codes.reshape(self.n, -1) - zeros[:, group]) * scales[:, group]
        if self.level == 4 and index is None:
            integers, scale = rounded(parts.astype(np.float32))
            parts = integers.astype(np.float64) * scale
        y = parts.reshape(len(parts), -1) @ weight.T
        if self.inputs["bias"] is not None:
            y = y + self.inputs["bias"].astype(np.float64)
        return y.reshape(*x.shape[:-1], self.n)


def model(products, shape, dtype=np.float32, constant=True):
    """One model in which all products have the input x."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    values = [helper.make_tensor_value_info("x", kind, shape)]
    initializers = []
    for product in products:
        for name, array in product.arrays().items():
            if constant:
                initializers.append(numpy_helper.from_array(array, name))
            else:
                number = helper.np_dtype_to_tensor_dtype(array.dtype)
                values.append(helper.make_tensor_value_info(name, number, array.shape))
    results = [helper.make_tensor_value_info(p.name, kind, None) for p in products]
    graph = helper.make_graph(
        [p.node("x") for p in products], "low_bit", values, results, initializers
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)
