# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Ahead-of-time compilation of ONNX models.

    import lutra

    model = lutra.compile("digits.onnx", output="digits.so", dim={"batch": (1, 64)})
    scores = model(images)["scores"]

    model = lutra.load("digits.so")  # later, without compiling
"""

from lutra.accuracy import Deviation, check_accuracy, deviation
from lutra.compiler import CompileError, Refusal, check, compile, ir, report
from lutra.model import DimInfo, Model, RunError, State, TensorInfo, load

__version__ = "0.1.0"
__all__ = [
    "CompileError",
    "Deviation",
    "DimInfo",
    "Model",
    "Refusal",
    "RunError",
    "State",
    "TensorInfo",
    "check",
    "check_accuracy",
    "compile",
    "deviation",
    "ir",
    "load",
    "report",
]
