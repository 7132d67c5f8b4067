# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The node tests that the onnx package makes, and how one is judged."""

import warnings
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

# How a test can end. Only PASS and REFUSED are ever right.
PASS, REFUSED, WRONG, CRASH = "pass", "refused", "wrong", "crash"


@dataclass
class Outcome:
    kind: str
    reason: str = ""


def collect():
    """All node tests of the installed onnx, by name."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case for case in collect_testcases(None)}


def as_array(value):
    return (
        numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
    )


def make_symbolic(model):
    """The model with every input size above one as a symbolic dimension.

    Equal sizes get the same name, since two different names would say that the
    sizes need not agree. A size of one stays, since it asks for broadcasting.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_value > 1:
                dim.dim_param = f"size{dim.dim_value}"
    for value in model.graph.output:
        for i, dim in enumerate(value.type.tensor_type.shape.dim):
            dim.dim_param = f"{value.name}_{i}"
    del model.graph.value_info[:]
    return model


def difference(expected, actual, rtol, atol):
    """What keeps `actual` from being the expected output, or an empty string."""
    expected, actual = np.asarray(expected), np.asarray(actual)
    if actual.dtype != expected.dtype:
        return f"expected dtype {expected.dtype}, got {actual.dtype}"
    if actual.shape != expected.shape:
        return f"expected shape {expected.shape}, got {actual.shape}"
    if actual.dtype.name == "bfloat16":
        # As onnx's own runner has it: two units in the last place.
        rtol = max(rtol, 2**-6)
        expected, actual = expected.astype(np.float32), actual.astype(np.float32)
    if actual.dtype == np.float16:
        # The same for the other short type: the reference rounds after each step.
        rtol = max(rtol, 2**-9)
    try:
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)
    except AssertionError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return "; ".join(lines[:4])
    return ""


def judge(case, symbolic=False):
    """Compiles and runs one test. Whatever goes wrong is in the outcome."""
    import lutra

    model = make_symbolic(case.model) if symbolic else case.model
    try:
        compiled = lutra.compile(model)
    except lutra.CompileError as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
        if error.exit_code != 3:
            return Outcome(CRASH, f"exit code {error.exit_code}: {reason}")
        # A refusal without a reason is as bad as none.
        return Outcome(REFUSED, reason) if reason else Outcome(CRASH, "no reason")
    for inputs, expected in case.data_sets:
        inputs = [np.asarray(as_array(value)) for value in inputs]
        outputs = compiled(*inputs)
        for value, wanted in zip(model.graph.output, expected, strict=True):
            message = difference(
                as_array(wanted), outputs[value.name], case.rtol, case.atol
            )
            if message:
                return Outcome(WRONG, f"{value.name}: {message}")
    return Outcome(PASS)
