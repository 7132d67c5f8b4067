# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles the samples of text and shows them: show_numerals.py FOLDER

FOLDER is where make_numerals.py and make_encoder.py of test/Models have written.
The language model writes numbers as Roman numerals, token by token, with its caches
kept in place, and once more with weights of 4 bits; the encoder reads them and some
that are spoilt.
"""

import json
import subprocess
import sys
from pathlib import Path

import lutra
import numpy as np

NUMBERS = [7, 48, 1492, 1994, 2026, 3888]
CLASSES = ["no numeral", "odd", "even"]
STATE = "past_key_values.*:present.*:max=32"
LUTRA_RUN = Path(__file__).resolve().parent.parent / "build/release/bin/lutra-run"


def write(artifact, prompt):
    """What lutra-run continues a prompt with."""
    tokenizer = artifact.parent / "tokenizer.json"
    command = [LUTRA_RUN, artifact, f"--generate={prompt}", f"--tokenizer={tokenizer}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def read(model, ids):
    """What a text is, and how likely."""
    logits = model(np.array([ids]), np.ones((1, len(ids)), np.int64))["logits"][0]
    likely = np.exp(logits - logits.max())
    return CLASSES[likely.argmax()], likely.max() / likely.sum()


def main():
    folder = Path(sys.argv[1])
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    ids = tokenizer["model"]["vocab"]
    begin, end = ids["<s>"], ids["</s>"]

    # The caches stay in the program; a number and its numeral have few characters.
    writers = {"f32": folder / "numerals.so", "int4": folder / "numerals-int4.so"}
    for name, artifact in writers.items():
        rules = None if name == "f32" else name
        lutra.compile(folder / "numerals.onnx", artifact, state=STATE, quantize=rules)
    reader = lutra.compile(
        folder / "encoder.onnx",
        output=folder / "encoder.so",
        dim={"sequence_length": (1, 32)},
    )
    print()
    sizes = {n: path.with_suffix(".weights").stat().st_size for n, path in writers.items()}
    titles = [f"{name}, {size:,} bytes" for name, size in sizes.items()]
    print("  " + "".join(f"{title:24}" for title in titles).rstrip())
    for number in NUMBERS:
        texts = [f"{number}={write(path, f'{number}=')}" for path in writers.values()]
        print("  " + "".join(f"{text:24}" for text in texts).rstrip())
    print()
    for text in ("MCMXCIV", "MCMXCV", "MCMXCVV", "MMXXVI", "IIX"):
        what, likely = read(reader, [begin, *(ids[c] for c in text), end])
        print(f"  {text}: {what}  {likely:.1%}")


if __name__ == "__main__":
    main()
