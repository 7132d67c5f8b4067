# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles the sample and shows what it reads: show_digits.py FOLDER

FOLDER is where test/Models/digits/make_digits.py has written. Shows some of the
held-out digits, each with what the compiled program says it is, one that it gets
wrong if there is any, and at the end sizes, times and how often it is right.
"""

import sys
import time
from pathlib import Path

import lutra
import numpy as np

INK = " ░▒▓█"
COLUMNS = 6


def drawing(image):
    """An image as lines of text; a pixel is two characters wide, so it is square."""
    levels = np.rint(image * (len(INK) - 1)).astype(int)
    return ["".join(INK[level] * 2 for level in row) for row in levels]


def cards(images, scores, labels):
    """Images with what the program says below them, COLUMNS side by side."""
    for start in range(0, len(images), COLUMNS):
        row = range(start, min(start + COLUMNS, len(images)))
        for lines in zip(*[drawing(images[i, 0]) for i in row]):
            print("  " + "   ".join(lines))
        captions = []
        for i in row:
            digit = int(scores[i].argmax())
            verdict = f"{digit}  {scores[i, digit]:.1%}"
            if digit != labels[i]:
                verdict += f" (is {labels[i]})"
            captions.append(f"{verdict:^16}")
        print("  " + "   ".join(captions) + "\n")


def chosen(scores, labels):
    """One image of each digit, and as a last one the least certain mistakes."""
    first = [int(np.flatnonzero(labels == digit)[0]) for digit in range(10)]
    wrong = np.flatnonzero(scores.argmax(axis=1) != labels)
    return first + [int(i) for i in wrong[np.argsort(scores[wrong].max(axis=1))][:2]]


def microseconds(model, image, repeats=200):
    """The median time of a call, Python's own share included."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        model(image)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e6


def main():
    folder = Path(sys.argv[1])
    data = np.load(folder / "digits.npz")
    images, labels = data["images"], data["labels"]
    artifact = folder / "digits.so"

    start = time.perf_counter()
    model = lutra.compile(folder / "digits.onnx", output=artifact)
    compile_seconds = time.perf_counter() - start
    scores = model(images)["scores"]

    some = chosen(scores, labels)
    print()
    cards(images[some], scores[some], labels[some])

    right = float(np.mean(scores.argmax(axis=1) == labels))
    theirs = float(np.mean(data["predictions"] == labels))
    apart = float(np.abs(scores - data["scores"]).max())
    weights = sorted(folder.glob("digits*.weights"))
    rows = [
        ("right", f"{right:.1%} of {len(labels)} digits (scikit-learn {theirs:.1%})"),
        ("from ONNX Runtime", f"at most {apart:.1g} apart"),
        ("model", f"{(folder / 'digits.onnx').stat().st_size:,} bytes"),
        ("artifact", f"{artifact.stat().st_size:,} bytes, {artifact}"),
        *(("weights", f"{path.stat().st_size:,} bytes, {path}") for path in weights),
        ("compile", f"{compile_seconds * 1e3:.0f} ms"),
        ("run, 1 digit", f"{microseconds(model, images[:1]):.1f} µs"),
        (f"run, {len(images)} digits", f"{microseconds(model, images):.1f} µs"),
    ]
    for name, value in rows:
        print(f"  {name:18} {value}")


if __name__ == "__main__":
    main()
