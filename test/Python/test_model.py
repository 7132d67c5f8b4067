# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calling compiled models."""

import pickle
from collections import OrderedDict, UserDict
from concurrent.futures import ThreadPoolExecutor

import lutra
import models
import numpy as np
import pytest

A = np.arange(8, dtype=np.float32).reshape(2, 4)
B = np.full((2, 4), 10, np.float32)


@pytest.fixture(scope="module")
def subtract():
    return lutra.compile(models.subtract(), dim={"n": (1, 64)})


def test_describes_itself(subtract):
    assert subtract.inputs[0] == ("a", np.dtype(np.float32), ("n", 4))
    assert [t.name for t in subtract.inputs] == ["a", "b"]
    assert [t.name for t in subtract.outputs] == ["d", "s"]
    assert subtract.dims == {"n": (1, 64, 1)}
    assert subtract.info["compiler"].startswith("lutra ")
    assert subtract.info["dispatches"]
    assert "a: float32[n,4]" in repr(subtract)


def test_positional_and_named(subtract):
    for outputs in (subtract(A, B), subtract({"b": B, "a": A})):
        assert list(outputs) == ["d", "s"]
        np.testing.assert_array_equal(outputs["d"], A - B)
        np.testing.assert_array_equal(outputs["s"], A + B)


class Subclass(np.ndarray):
    pass


class OnlyDLPack:
    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a.tolist(),
        lambda a: OnlyDLPack(a),
        lambda a: np.asfortranarray(a),
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: a[::-1][::-1],
        lambda a: a.astype(">f4"),
        lambda a: np.frombuffer(a.tobytes(), np.float32).reshape(a.shape),
        lambda a: pickle.loads(pickle.dumps(a)),
        lambda a: a.astype(np.dtype(np.float32, metadata={"unit": "m"})),
        lambda a: a.view(Subclass),
    ],
    ids=["list", "dlpack", "fortran", "strided", "reversed", "big_endian", "read_only",
         "pickled", "metadata", "subclass"],
)  # fmt: skip
@pytest.mark.parametrize("make_other", [np.copy, np.asfortranarray], ids=["", "mixed"])
def test_kinds_of_arrays(subtract, make, make_other):
    for outputs in (
        subtract(make(A), make_other(B)),
        subtract({"b": make_other(B), "a": make(A)}),
    ):
        np.testing.assert_array_equal(outputs["d"], A - B)
        assert type(outputs["d"]) is np.ndarray


@pytest.mark.parametrize("kind", [OrderedDict, UserDict])
def test_kinds_of_mappings(subtract, kind):
    np.testing.assert_array_equal(subtract(kind(b=B, a=A))["d"], A - B)


def test_inputs_may_be_one_array(subtract):
    np.testing.assert_array_equal(subtract(A, A)["d"], A - A)


def test_unaligned_input(subtract):
    unaligned = np.frombuffer(b"0" + A.tobytes(), np.uint8)[1:].view(np.float32)
    with pytest.raises(lutra.RunError, match="input 'b'.*aligned to 4"):
        subtract(A, unaligned.reshape(A.shape))


def test_outputs_begin_with_a_cache_line(subtract):
    results = [subtract(A[:n], B[:n]) for n in (1, 2, 1, 2)]
    for array in (array for result in results for array in result.values()):
        assert array.__array_interface__["data"][0] % 64 == 0
        assert array.flags.writeable and array.flags.c_contiguous


def test_outputs_outlive_the_model():
    model = lutra.compile(models.subtract())
    results = [model(A, B)["d"] for _ in range(16)]
    del model
    for d in results:
        np.testing.assert_array_equal(d, A - B)
        d += 1
    assert not any(np.shares_memory(results[0], other) for other in results[1:])


def test_dense_inputs_are_not_converted(subtract, monkeypatch):
    from lutra.model import _to_native

    assert _to_native(A, subtract.inputs[0], 1)[1] is A
    before = A.copy()
    monkeypatch.setattr(subtract, "_convert", lambda arrays: 1 / 0)
    for arrays in ((A, B), ({"a": A, "b": B},)):
        np.testing.assert_array_equal(subtract(*arrays)["s"], A + B)
    np.testing.assert_array_equal(A, before)
    with pytest.raises(ZeroDivisionError):
        subtract(A.tolist(), B)


def test_no_elements():
    model = lutra.compile(models.unary("Neg", "float"), dim={"n": (0, 8)})
    y = model(np.zeros((0, 4), np.float32))["y"]
    assert y.shape == (0, 4) and y.dtype == np.float32


class OddKey:
    """Looks like a name and cannot be compared."""

    def __hash__(self):
        return hash("a")

    def __eq__(self, other):
        raise ZeroDivisionError


def test_failing_keys(subtract):
    with pytest.raises(ZeroDivisionError):
        subtract({OddKey(): A, "b": B})


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((A,), "expected 2 inputs, got 1"),
        (({"a": A},), "expected an array for 'b'"),
        (({"a": A, "b": B, "c": B},), "no input is named 'c'; expected 'a', 'b'"),
        (({"a": A, "c": B},), "no input is named 'c'; expected 'a', 'b'"),
        (({"a": A, 1: B},), "no input is named '1'; expected 'a', 'b'"),
        ((), "expected 2 inputs, got 0"),
        ((A.astype(np.float64), B), "input 'a'.*float32.*float64"),
        ((A.astype(np.complex64), B), "input 'a'.*float32.*complex64"),
        ((A[0], B), "input 'a'.*rank"),
        ((A[:, :3], B[:, :3]), "input 'a'.*4"),
        ((A, B[:1]), "n"),
        ((np.zeros((65, 4), np.float32),) * 2, "64"),
    ],
    ids=["count", "missing", "name", "other_name", "number", "none", "dtype", "no_dtype", "rank", "shape", "dims", "range"],
)
def test_wrong_inputs(subtract, arguments, message):
    with pytest.raises(lutra.RunError, match=message):
        subtract(*arguments)


DTYPES = {
    "float": np.float32, "double": np.float64, "float16": np.float16,
    "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64,
    "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64,
    "bool": np.bool_,
}  # fmt: skip


@pytest.mark.parametrize("name", DTYPES)
def test_dtypes(name):
    model = lutra.compile(models.unary("Identity", name))
    x = np.array([[0, 1, 2, 3], [4, 0, 1, 1]]).astype(DTYPES[name])
    y = model(x)["y"]
    assert y.dtype == x.dtype == model.inputs[0].dtype
    np.testing.assert_array_equal(y, x)


def test_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    model = lutra.compile(models.unary("Neg", "bfloat16"))
    wide = np.array([[0.5, 7, 1, 7, -2, 7, 3, 7]], ml_dtypes.bfloat16)
    for x in (wide[:, ::2].copy(), wide[:, ::2]):
        y = model(x)["y"]
        assert y.dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(y.astype(np.float32), -x.astype(np.float32))
    for x in (wide.astype(np.float32), wide.view(np.uint16), wide.astype(">f2")):
        with pytest.raises(lutra.RunError, match="input 'x'.*bfloat16"):
            model(x)
    with pytest.raises(lutra.RunError, match="input 'x'.*float16.*bfloat16"):
        lutra.compile(models.unary("Neg", "float16"))(wide)


def test_scalars():
    model = lutra.compile(models.unary("Neg", "float", shape=""))
    y = model(np.float32(2))["y"]
    assert y.shape == () and y == -2


def test_many_threads_call_one_model(subtract):
    def call(n):
        a = np.full((n, 4), n, np.float32)
        return np.array_equal(subtract(a, a)["s"], a + a)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, [1 + i % 64 for i in range(512)]))


def test_number_of_threads(tmp_path):
    lutra.compile(models.subtract(), tmp_path / "m.so")
    for threads in (1, 2, 3):
        model = lutra.load(tmp_path / "m.so", threads=threads)
        np.testing.assert_array_equal(model(A, B)["d"], A - B)


def test_not_an_artifact(tmp_path):
    with pytest.raises(lutra.RunError, match="none.so"):
        lutra.load(tmp_path / "none.so")
    (tmp_path / "bad.so").write_bytes(b"bad")
    with pytest.raises(lutra.RunError, match="bad.so"):
        lutra.load(tmp_path / "bad.so")


def test_weights_are_missing(tmp_path):
    lutra.compile(models.mlp(), tmp_path / "m.so")
    (tmp_path / "m.weights").unlink()
    with pytest.raises(lutra.RunError, match="m.weights"):
        lutra.load(tmp_path / "m.so")
