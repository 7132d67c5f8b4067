# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles the samples of text and shows them: show_numerals.py FOLDER

FOLDER is where make_numerals.py and make_encoder.py of test/Models have written.
The language model writes numbers as Roman numerals, token by token; the encoder
reads them and some that are spoilt.
"""

import json
import sys
import time
from pathlib import Path

import lutra
import numpy as np

NUMBERS = [7, 48, 1492, 1994, 2026, 3888]
CLASSES = ["no numeral", "odd", "even"]
LIMIT = 20


def cache(model):
    """The keys and values of no tokens."""
    return {
        info.name: np.zeros((1, info.shape[1], 0, info.shape[3]), info.dtype)
        for info in model.inputs
        if info.name.startswith("past_key_values.")
    }


def write(model, ids, end):
    """The likeliest tokens after `ids`, up to `end`."""
    past, start, written = cache(model), 0, []
    while len(written) < LIMIT:
        stop = start + len(ids)
        outputs = model({
            "input_ids": np.array([ids]),
            "attention_mask": np.ones((1, stop), np.int64),
            "position_ids": np.arange(start, stop)[None],
            **past,
        })  # fmt: skip
        ids, start = [int(outputs["logits"][0, -1].argmax())], stop
        if ids[0] == end:
            break
        written += ids
        past = {name: outputs[name.replace("past_key_values", "present")] for name in past}
    return written


def read(model, ids):
    """What a text is, and how likely."""
    logits = model(np.array([ids]), np.ones((1, len(ids)), np.int64))["logits"][0]
    likely = np.exp(logits - logits.max())
    return CLASSES[likely.argmax()], likely.max() / likely.sum()


def main():
    folder = Path(sys.argv[1])
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    ids = tokenizer["model"]["vocab"]
    tokens = list(ids)
    begin, end = ids["<s>"], ids["</s>"]

    # A cache is empty at first.
    writer = lutra.compile(
        folder / "numerals.onnx",
        output=folder / "numerals.so",
        dim={"past_sequence_length": (0, None)},
    )
    reader = lutra.compile(
        folder / "encoder.onnx",
        output=folder / "encoder.so",
        dim={"sequence_length": (1, 32)},
    )
    print()
    count, start = 0, time.perf_counter()
    for number in NUMBERS:
        written = write(writer, [begin, *(ids[c] for c in f"{number}=")], end)
        count += len(written) + 1
        print(f"  {number} = {''.join(tokens[i] for i in written).strip()}")
    seconds = time.perf_counter() - start
    print(f"\n  {count / seconds:,.0f} tokens a second\n")
    for text in ("MCMXCIV", "MCMXCV", "MCMXCVV", "MMXXVI", "IIX"):
        what, likely = read(reader, [begin, *(ids[c] for c in text), end])
        print(f"  {text}: {what}  {likely:.1%}")


if __name__ == "__main__":
    main()
