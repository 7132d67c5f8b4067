# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""GatherBlockQuantized beside its definition, and beside ONNX Runtime."""

import lutra
import ml_dtypes
import numpy as np
import pytest
from differential import reference
from low_bit import MICROSOFT, pack
from onnx import TensorProto, helper

PACKED = TensorProto.UINT8
TYPES = [TensorProto.UINT4, TensorProto.INT4]


class Table:
    """A table of codes and its node: packed bytes, or what ONNX has."""

    def __init__(self, kind, shape, bits=4, block=16, zeros=False, gather=0, quantize=-1,
                 dtype=np.float32):  # fmt: skip
        random = np.random.default_rng(sum(shape) + bits)
        self.kind, self.bits, self.dtype = kind, bits, np.dtype(dtype)
        self.attributes = {"block_size": block, "gather_axis": gather, "quantize_axis": quantize}
        if kind == PACKED:
            self.attributes["bits"] = bits
        offset = 1 << (bits - 1) if kind == TensorProto.INT4 else 0
        blocks = list(shape)
        blocks[quantize] = -(-shape[quantize] // block)
        self.codes = random.integers(0, 1 << bits, shape) - offset
        self.scales = random.uniform(0.1, 1, blocks).astype(dtype)
        self.zeros = random.integers(0, 1 << bits, blocks) - offset if zeros else None

    def stored(self, name, codes):
        if self.kind == PACKED:
            bits = pack(codes.astype(np.uint8), self.bits)
            return helper.make_tensor(name, PACKED, bits.shape, bits.tobytes(), raw=True)
        nibbles = pack((codes & 15).astype(np.uint8).reshape(-1), 4)
        return helper.make_tensor(name, self.kind, codes.shape, nibbles.tobytes(), raw=True)

    def model(self, indices, constant=True):
        names = ["data", "indices", "scales"] + ["zeros"] * (self.zeros is not None)
        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        tensors = [
            self.stored("data", self.codes),
            helper.make_tensor("scales", kind, self.scales.shape, self.scales.tobytes(), raw=True),
        ]
        if self.zeros is not None:
            tensors.append(self.stored("zeros", self.zeros))
        number = helper.np_dtype_to_tensor_dtype(indices.dtype)
        inputs = [helper.make_tensor_value_info("indices", number, indices.shape)]
        if not constant:
            inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
        node = helper.make_node(
            "GatherBlockQuantized", names, ["y"], domain=MICROSOFT, **self.attributes
        )
        graph = helper.make_graph(
            [node], "table", inputs, [helper.make_tensor_value_info("y", kind, None)],
            tensors if constant else [],
        )  # fmt: skip
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def expected(self, indices):
        """Rows of the decoded table, zeros where an index is outside."""
        axis, quantize = self.attributes["gather_axis"], self.attributes["quantize_axis"]
        block = np.arange(self.codes.shape[quantize]) // self.attributes["block_size"]
        default = 1 << (self.bits - 1) if self.kind == PACKED else 0
        zeros = default if self.zeros is None else np.take(self.zeros, block, quantize)
        scales = np.take(self.scales, block, quantize).astype(np.float32)
        table = ((self.codes - zeros).astype(np.float32) * scales).astype(self.dtype)
        size = table.shape[axis]
        inside = (indices >= -size) & (indices < size)
        result = np.take(table, np.where(inside, indices, 0), axis)
        after = [1] * (table.ndim - axis - 1)
        return np.where(inside.reshape(*indices.shape, *after), result, np.zeros((), self.dtype))


def check(table, indices):
    model = table.model(indices)
    actual = lutra.compile(model, mcpu="native")({"indices": indices})["y"]
    expected = table.expected(indices)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    return model, actual


INDICES = np.array([[0, 5, 10], [3, -1, -11]])


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("columns, block", [(32, 16), (48, 16), (40, 16), (64, 128)])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_packed(bits, columns, block, zeros):
    check(Table(PACKED, (11, columns), bits, block, zeros), INDICES)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("kind", TYPES, ids=["uint4", "int4"])
@pytest.mark.parametrize("rows, columns", [(11, 40), (11, 33), (200, 33)])
def test_narrow(kind, rows, columns, zeros):
    """Rows of an odd number of codes begin within a byte."""
    check(Table(kind, (rows, columns), zeros=zeros), INDICES)


@pytest.mark.parametrize("kind", TYPES, ids=["uint4", "int4"])
@pytest.mark.parametrize("gather", [0, 1, 2])
@pytest.mark.parametrize("quantize", [0, 1, 2])
def test_axes(kind, gather, quantize):
    table = Table(kind, (11, 21, 35), zeros=True, gather=gather, quantize=quantize)
    check(table, INDICES)


@pytest.mark.parametrize("kind", [PACKED, *TYPES], ids=["uint8", "uint4", "int4"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_indices_outside(kind, dtype):
    limits = np.iinfo(dtype)
    indices = np.array([11, -12, 10, -11, limits.max, limits.min, 0], dtype)
    check(Table(kind, (11, 32), zeros=True), indices)


@pytest.mark.parametrize("shape", [(), (1,), (2, 1, 3)])
def test_ranks_of_indices(shape):
    check(Table(PACKED, (11, 4, 32)), np.arange(np.prod(shape, dtype=int)).reshape(shape))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_narrow_floats(dtype):
    check(Table(PACKED, (11, 32), zeros=True, dtype=dtype), INDICES)


def test_tables_of_a_run():
    table = Table(PACKED, (11, 48), zeros=True)
    model = table.model(INDICES, constant=False)
    zeros, data = (pack(part.astype(np.uint8), 4) for part in (table.zeros, table.codes))
    feed = {"indices": INDICES, "data": data, "scales": table.scales, "zeros": zeros}
    actual = lutra.compile(model, mcpu="native")(feed)["y"]
    np.testing.assert_array_equal(actual, table.expected(INDICES))


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("kind", [PACKED, *TYPES], ids=["uint8", "uint4", "int4"])
def test_as_onnx_runtime(kind, zeros):
    """ONNX Runtime gives zeros for an index that is outside, too."""
    indices = np.array([[0, 10, -11], [11, -12, 3]])
    model, actual = check(Table(kind, (11, 48), zeros=zeros), indices)
    np.testing.assert_array_equal(actual, reference(model)({"indices": indices})["y"])


@pytest.mark.parametrize("kind", [PACKED, *TYPES], ids=["uint8", "uint4", "int4"])
def test_table_stays_packed(kind, tmp_path):
    """The library holds half a byte of each code, and scales."""
    table = Table(kind, (4096, 256), block=128)
    compiled = lutra.compile(table.model(INDICES), tmp_path / "table.so", mcpu="native")
    np.testing.assert_array_equal(compiled({"indices": INDICES})["y"], table.expected(INDICES))
    assert (tmp_path / "table.so").stat().st_size < 0.7 * table.codes.size
