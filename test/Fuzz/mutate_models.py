#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles many slightly wrong copies of models: mutate_models.py MODEL...

Every other copy has some of its bytes outside of large weights changed, the rest
fields of its messages. Each must compile, or be refused with a message and leave
nothing behind; none may end by a signal or run for minutes.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx

LARGE = 1024
SECONDS = 300
NUMBERS = (0, 1, -1, 2, 7, 2**31 - 1, -(2**31), 2**62, 2**63 - 1, -(2**63))


def change_bytes(model, rng):
    """Flips, inserts and deletes bytes; those of large weights stay."""
    content = bytearray(model.SerializeToString())
    kept = [t.raw_data for t in model.graph.initializer if len(t.raw_data) > LARGE]
    spans = [(at, at + len(raw)) for raw in kept if (at := content.find(raw)) >= 0]
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content))
        while any(begin <= at < end for begin, end in spans):
            at = rng.randrange(len(content))
        action = rng.choice(("flip", "insert", "delete"))
        if action == "flip":
            content[at] ^= 1 << rng.randrange(8)
            continue
        length = rng.randint(1, 4)
        if action == "insert":
            content[at:at] = rng.randbytes(length)
        else:
            del content[at : at + length]
        moved = length if action == "insert" else -length
        spans = [(b + moved, e + moved) if b >= at else (b, e) for b, e in spans]
    return bytes(content)


def collect_fields(message, found, texts):
    """All set fields, and the texts that one may be replaced by."""
    for field, value in message.ListFields():
        found.append((message, field))
        values = value if field.is_repeated else [value]
        if field.type == field.TYPE_MESSAGE:
            for child in values:
                collect_fields(child, found, texts)
        elif field.type == field.TYPE_STRING:
            texts += values


def changed(field, value, rng, texts):
    """Another value for one element of a field that holds no messages."""
    if field.type == field.TYPE_STRING:
        return rng.choice(("", value[:-1], value * 2, rng.choice(texts)))
    if field.type == field.TYPE_BYTES:
        return rng.choice((b"", value[:-1], value[: len(value) // 2], value + b"\xff"))
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return rng.choice((0.0, -1.0, 1e30, float("inf"), float("nan")))
    number = rng.choice((*NUMBERS, value + 1, value - 1))
    if field.type == field.TYPE_INT32 or field.type == field.TYPE_ENUM:
        number = rng.randint(0, 26)
    return number % 2**64 if field.type == field.TYPE_UINT64 else number


def change_repeated(values, field, rng, texts):
    at = rng.randrange(len(values))
    action = rng.choice(("drop", "double", "swap", "change"))
    if action == "drop":
        del values[at]
    elif action == "double":
        values.append(values[at])
    elif action == "swap":
        rest = list(values)
        del values[:]
        rng.shuffle(rest)
        values.extend(rest)
    elif field.type != field.TYPE_MESSAGE:
        values[at] = changed(field, values[at], rng, texts)


def change_fields(model, rng):
    """Changes one to three fields anywhere in the model."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    for _ in range(rng.choice((1, 1, 2, 3))):
        found, texts = [], [""]
        collect_fields(copy, found, texts)
        if not found:
            break
        # Most fields are names, and a wrong name is refused early.
        numbers = [f for f in found if f[1].cpp_type <= f[1].CPPTYPE_ENUM]
        message, field = rng.choice(numbers if numbers and rng.random() < 0.6 else found)
        value = getattr(message, field.name)
        try:
            if field.is_repeated:
                change_repeated(value, field, rng, texts)
            elif field.type == field.TYPE_MESSAGE or rng.random() < 0.2:
                message.ClearField(field.name)
            else:
                setattr(message, field.name, changed(field, value, rng, texts))
        except ValueError:
            continue  # Not a value of this enumeration.
    return copy.SerializeToString()


def copy_external_data(path, model, folder):
    """Only the copy's own folder may hold its weights."""
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                shutil.copy(path.parent / entry.value, folder)


def judge(tool, content, folder, arguments, name="model.onnx"):
    """What is wrong with the answer, or an empty string; and the exit code."""
    path, output = folder / name, folder / "out" / "model.out"
    path.write_bytes(content)
    output.parent.mkdir(exist_ok=True)
    command = [tool, path, "-o", output, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"still running after {SECONDS} s", None
    text = done.stderr.decode(errors="replace")
    left = sorted(p.name for p in output.parent.iterdir())
    for name in left:
        (output.parent / name).unlink()
    # 4: a name of a file with weights was changed.
    faults = ("Sanitizer", "runtime error:", ": crashed;")
    if done.returncode not in (0, 3, 4) or any(fault in text for fault in faults):
        return f"exit code {done.returncode}: {text[-2000:]}", done.returncode
    if done.returncode and not text.strip():
        return "refused without a message", done.returncode
    if done.returncode and left:
        return f"left {', '.join(left)} behind", done.returncode
    return "", done.returncode


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--tool", default="build/fuzz/bin/lutra-compile")
    parser.add_argument("--count", type=int, default=60, help="copies of each model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile-to", default="object", help="phase to stop after")
    parser.add_argument("--option", action="append", default=[], help="of lutra-compile")
    parser.add_argument("--keep", type=Path, help="where to leave those that fail")
    options = parser.parse_args()
    arguments = [f"--compile-to={options.compile_to}", *options.option]

    failures = 0
    for path in options.models:
        model = onnx.load(path, load_external_data=False)
        codes = {}
        for i in range(options.count):
            rng = random.Random(f"{options.seed} {path.name} {i}")
            content = (change_fields if i % 2 else change_bytes)(model, rng)
            with tempfile.TemporaryDirectory() as folder:
                copy_external_data(path, model, folder)
                problem, code = judge(options.tool, content, Path(folder), arguments)
            codes[code] = codes.get(code, 0) + 1
            if problem:
                failures += 1
                print(f"{path.name}, copy {i}: {problem}", flush=True)
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"{path.stem}-{i}.onnx").write_bytes(content)
        ends = ", ".join(f"{n} with exit code {code}" for code, n in codes.items())
        print(f"{path.name}: {options.count} copies: {ends}", flush=True)
    print(f"{failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
