# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What quantization costs in accuracy: a model beside itself, unquantized."""

from typing import NamedTuple, Optional

import numpy as np

from lutra.compiler import compile


class Deviation(NamedTuple):
    """How far an output is from what it would be without quantization: the
    largest error, the root of the mean squared error relative to that of the
    output, in what part of the rows the largest element is at the same place (None
    where rows have no two elements), and what part of the expected elements is
    finite, since others tell nothing."""

    largest: float
    relative: float
    agreement: Optional[float]
    finite: float


def check_accuracy(model, quantize, inputs=None, **options):
    """Compiles a model with and without `quantize`, runs both on the same inputs,
    and returns {output: Deviation}.

    `inputs` is {name: array}; those not given are random, the same in every call.
    Other options are those of lutra.compile.
    """
    samples = options.pop("calibrate", None)
    exact = compile(model, **options)
    quantized = compile(model, quantize=quantize, calibrate=samples, **options)
    arrays = _inputs(exact, dict(inputs or {}))
    expected, got = exact(arrays), quantized(arrays)
    return {name: deviation(expected[name], got[name]) for name in expected}


def deviation(expected, got):
    """The Deviation of an array from the one that was expected."""
    expected, got = (np.asarray(a, np.float64) for a in (expected, got))
    same = (expected == got) | (np.isnan(expected) & np.isnan(got))
    with np.errstate(invalid="ignore"):
        errors = np.where(same, 0, np.abs(got - expected))
    errors = np.where(np.isnan(errors), np.inf, errors)
    finite = np.isfinite(expected)
    squares = np.sum(np.where(finite, expected, 0) ** 2)
    total = np.sum(errors**2)
    agreement = None
    if expected.ndim and expected.shape[-1] > 1 and expected.size:
        agreement = float(np.mean(expected.argmax(-1) == got.argmax(-1)))
    return Deviation(
        float(errors.max(initial=0)),
        float(np.sqrt(total / squares)) if total else 0.0,
        agreement,
        float(np.mean(finite)) if finite.size else 1.0,
    )


def _smallest(dim):
    """The smallest size of a dimension that is not 0, if one is allowed."""
    least = max(dim.min, 1)
    size = -(-least // dim.multiple) * dim.multiple
    return size if dim.max is None or size <= dim.max else dim.min


def _inputs(model, given):
    """All inputs of a model: floats in [-1, 1), integers in 0..7."""
    sizes = {name: _smallest(dim) for name, dim in model.dims.items()}
    for info in model.inputs:
        if info.name in given:
            sizes |= {
                dim: size
                for dim, size in zip(info.shape, np.shape(given[info.name]))
                if isinstance(dim, str)
            }
    random = np.random.default_rng(0)
    for info in model.inputs:
        if info.name in given:
            continue
        shape = [sizes.get(size, size) for size in info.shape]
        if np.issubdtype(info.dtype, np.integer) or info.dtype == np.bool_:
            array = random.integers(0, 2 if info.dtype == np.bool_ else 8, shape)
        else:
            array = random.uniform(-1, 1, shape)
        given[info.name] = array.astype(info.dtype)
    return given
