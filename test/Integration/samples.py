# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What ONNX Runtime's quantizer reads samples from."""

from onnxruntime.quantization import CalibrationDataReader


class Samples(CalibrationDataReader):
    """One sample after the other, each {name: array}."""

    def __init__(self, samples):
        self.left = iter(samples)

    def get_next(self):
        return next(self.left, None)
