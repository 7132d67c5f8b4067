# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How lit runs the tests under test/, which mirror the sources.

`lit test` takes the tools of build/release; `lit -D build=DIR test` those of
another build. %models is where the folder test/Models has its generators,
%fake_model an artifact that was written by hand.
"""

import os
from pathlib import Path

import lit.formats

root = Path(__file__).resolve().parent.parent
build = Path(lit_config.params.get("build", root / "build" / "release")).resolve()

config.name = "Lutra"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".onnxtxt", ".test"]
config.excludes = ["Conformance", "Inputs", "Integration", "Models", "Python", "Unit"]
config.test_source_root = str(root / "test")
config.test_exec_root = str(build / "test")

config.environment["PATH"] = os.pathsep.join(
    [str(build / "bin"), "/usr/lib/llvm-22/bin", os.environ["PATH"]]
)
config.substitutions.append(("%models", str(root / "test" / "Models")))
config.substitutions.append(("%build", str(build)))
config.substitutions.append(
    ("%fake_model", str(build / "test" / "Unit" / "Runtime" / "Inputs" / "fake.so"))
)
if not (build / "bin" / "lutra-opt").exists():
    lit_config.fatal(f"no lutra-opt in {build / 'bin'}; build it first")
