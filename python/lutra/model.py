# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled models and what they compute on."""

import os
from collections.abc import Mapping
from typing import NamedTuple, Optional

import numpy as np

from lutra import _native
from lutra._native import RunError

try:
    from ml_dtypes import bfloat16
except ImportError:
    # Arrays of bfloat16 are then their bits.
    bfloat16 = np.uint16

BFLOAT16 = 16
DTYPES = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16,
    6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64,
    12: np.uint32, 13: np.uint64, BFLOAT16: bfloat16,
}  # fmt: skip
NUMBERS = {np.dtype(dtype): number for number, dtype in DTYPES.items()
           if number != BFLOAT16}  # fmt: skip
UNBOUNDED = 2**63 - 1


class TensorInfo(NamedTuple):
    """An input or output. A size that varies is the name of its dimension or,
    where it is computed from several, None."""

    name: str
    dtype: np.dtype
    shape: tuple


class DimInfo(NamedTuple):
    """The sizes that a symbolic dimension may have; `max` is None without one."""

    min: int
    max: Optional[int]
    multiple: int


class State:
    """What a model compiled with `state` keeps between calls, as the key-value
    caches of a language model; made by Model.state.

    Every call that is given it appends to it. The first call after it is made or
    reset settles its other sizes (the batch).
    """

    def __init__(self, model, native):
        self._model = model
        self._native = native

    @property
    def length(self):
        """How much of it is in use, along the axis that calls append to."""
        return self._native.length

    @property
    def capacity(self):
        """How much there is room for."""
        return self._native.capacity

    def reset(self):
        """Begins anew, with any batch."""
        self._native.reset()

    def truncate(self, length):
        """Forgets what lies behind the first `length`."""
        self._native.truncate(length)

    def fork(self):
        """A copy, to continue from the same beginning in another way."""
        return State(self._model, self._native.fork())

    def __repr__(self):
        return f"<lutra.State of {self._model.name}: {self.length} of {self.capacity}>"


class Model:
    """A loaded artifact; made by lutra.compile and lutra.load.

    Called with one array per input, in order, or with {name: array}, and with
    `state=` where it keeps state; returns {name: array}. Threads may call one
    model at the same time.
    """

    def __init__(self, path, threads=0):
        self._native = _native.Model(os.fspath(path), threads)
        self._folder = None
        #: {name: DimInfo} of the symbolic dimensions.
        self.dims = {
            name: DimInfo(low, None if high == UNBOUNDED else high, multiple)
            for name, low, high, multiple in self._native.dims
        }
        names = list(self.dims)
        #: A TensorInfo per input, in the order of positional arguments.
        self.inputs = [_tensor_info(*t, names) for t in self._native.inputs]
        #: A TensorInfo per output.
        self.outputs = [_tensor_info(*t, []) for t in self._native.outputs]
        #: A TensorInfo per tensor of its state, with the capacity in the shape.
        self.states = [_tensor_info(*t, names) for t in self._native.states]
        self._input_numbers = [number for _, number, _ in self._native.inputs]
        self._caller = _native.Caller(
            self._native, {number: np.dtype(dtype) for number, dtype in DTYPES.items()}
        )

    @property
    def name(self):
        return self.info["name"]

    @property
    def info(self):
        """Name, compiler, target, weights and dispatches of the artifact."""
        return self._native.info

    def state(self):
        """A State of length 0, for a model that keeps state."""
        return State(self, self._native.make_state())

    def __call__(self, *arrays, state=None):
        if state is not None:
            if not isinstance(state, State):
                raise RunError(f"expected a lutra.State, got {type(state).__name__}")
            state = state._native
        return self._caller.call(arrays, state, self._convert)

    def __repr__(self):
        signature = ", ".join(map(_show, self.inputs))
        results = ", ".join(map(_show, self.outputs))
        return f"<lutra.Model {self.name}: ({signature}) -> ({results})>"

    def _convert(self, arrays):
        """(dtype number, dense array) per input, for what the native module does
        not read as it is."""
        if len(arrays) == 1 and isinstance(arrays[0], Mapping):
            arrays = self._positional(arrays[0])
        elif len(arrays) != len(self.inputs):
            raise RunError(f"expected {len(self.inputs)} inputs, got {len(arrays)}")
        return [
            _to_native(array, info, number)
            for array, info, number in zip(arrays, self.inputs, self._input_numbers)
        ]

    def _positional(self, arrays):
        names = [info.name for info in self.inputs]
        for name in arrays:
            if name not in names:
                raise RunError(f"no input is named '{name}'; expected {_quoted(names)}")
        missing = [name for name in names if name not in arrays]
        if missing:
            raise RunError(f"expected an array for {_quoted(missing)}")
        return [arrays[name] for name in names]


def load(path, threads=0):
    """Loads a shared library that the compiler wrote. `threads` is how many a
    call may use; 0 means as many as this process has CPUs."""
    return Model(path, threads)


def _tensor_info(name, number, shape, dims):
    sizes = tuple(
        size if size >= 0 else (dims[-1 - size] if -1 - size < len(dims) else None)
        for size in shape
    )
    return TensorInfo(name, np.dtype(DTYPES[number]), sizes)


def _show(info):
    shape = ",".join("?" if size is None else str(size) for size in info.shape)
    return f"{info.name}: {info.dtype}[{shape}]"


def _quoted(names):
    return ", ".join(f"'{name}'" for name in names)


def _to_native(array, info, number):
    """(dtype number, dense array): the array itself where it is dense."""
    if not isinstance(array, np.ndarray):
        if hasattr(array, "__dlpack__"):
            array = np.from_dlpack(array)
        else:
            # Python's numbers have no dtype of their own.
            array = np.asarray(array, dtype=info.dtype)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    array = np.asarray(array, order="C")
    if number == BFLOAT16 and array.dtype == bfloat16:
        return number, array
    if array.dtype not in NUMBERS:
        raise RunError(f"input '{info.name}': expected {info.dtype}, got {array.dtype}")
    return NUMBERS[array.dtype], array
