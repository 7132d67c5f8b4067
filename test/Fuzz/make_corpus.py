#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the node tests of the onnx package into a folder, for ImportFuzzer:
each as a binary model, and every tenth as text, too."""

import sys
from pathlib import Path

from onnx.backend.test.case.node import collect_testcases
from onnx.printer import to_text


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    models = [case.model for case in collect_testcases(None) if case.model]
    for i, model in enumerate(models):
        (folder / f"{i}.onnx").write_bytes(model.SerializeToString())
        if i % 10 == 0:
            (folder / f"{i}.txt").write_text(to_text(model))
    print(f"{len(models)} models in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
