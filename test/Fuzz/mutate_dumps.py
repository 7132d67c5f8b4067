#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles many slightly wrong copies of dumps: mutate_dumps.py DIR...

A DIR is what `lutra-compile --dump-ir=DIR` left. Copies have operands, attributes
and operations dropped or exchanged, and numbers and types changed. Each must
compile, or be refused with a message and leave nothing behind.
"""

import argparse
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from mutate_models import judge

NUMBERS = [str(n) for n in (0, 1, -1, 2, 3, 7, 64, 1024, 2**31, 2**62, -(2**63))]
NUMBER = re.compile(r"(?<![\w%#@.!-])-?\d+(?![\w.])|(?<=[<x\[])\d+(?=[x\]])")
OPERANDS = re.compile(r'"\(((?:%[\w#$.:-]+(?:, )?)*)\)')
SIGNATURE = re.compile(r": \((.*)\) -> [^()]*(?:\(.*\))?$")
# Not of `array<i64: ...>`, nor are iterator types exchanged: upstream's parser
# crashes on the ones that are none.
TYPE = re.compile(
    r"(?:tensor|memref|vector)<[^<>]*(?:<[^<>]*>[^<>]*)*>"
    r"|(?<!array<)\b(?:f32|bf16|f16|i1|i8|i32|i64|index)\b"
)
SCALARS = ("f32", "bf16", "f64", "i1", "i8", "i32", "i64", "index", "none", "ui8", "complex<f32>")
VALUE = re.compile(r"%[\w$.-]+(?:#\d+)?")


def split(text):
    """The elements of a list, at its outermost commas."""
    parts, depth, start = [], 0, 0
    quoted = False
    for i, c in enumerate(text):
        if c == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif c in "([{<":
            depth += 1
        elif c in ")]}" or (c == ">" and text[i - 1] != "-"):
            depth -= 1
        elif c == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    rest = text[start:].strip()
    return parts + [rest] if rest else parts


def closing(lines, at):
    """The line that has the types of the operation that begins at a line."""
    if not lines[at].endswith("({"):
        return at
    indent = len(lines[at]) - len(lines[at].lstrip())
    end = re.compile(rf" {{{indent}}}}}\)")
    return next((i for i in range(at + 1, len(lines)) if end.match(lines[i])), at)


def change_operands(lines, rng):
    at = rng.choice([i for i, line in enumerate(lines) if OPERANDS.search(line)])
    found = OPERANDS.search(lines[at])
    last = closing(lines, at)
    signature = SIGNATURE.search(lines[last])
    names, types = split(found[1]), split(signature[1]) if signature else []
    if not names or len(names) != len(types):
        return
    i, j = rng.randrange(len(names)), rng.randrange(len(names))
    action = rng.choice(("drop", "drop", "double", "swap", "swap types", "all", "other"))
    if action == "drop":
        del names[i], types[i]
    elif action == "double":
        names.insert(j, names[i])
        types.insert(j, types[i])
    elif action == "swap":
        names[i], names[j] = names[j], names[i]
        types[i], types[j] = types[j], types[i]
    elif action == "swap types":
        names[i], names[j] = names[j], names[i]
    elif action == "all":
        names, types = [], []
    else:
        others = VALUE.findall("\n".join(lines[max(0, at - 30) : at]))
        names[i] = rng.choice(others or names)
    begin, end = signature.span(1)
    lines[last] = lines[last][:begin] + ", ".join(types) + lines[last][end:]
    begin, end = found.span(1)
    lines[at] = lines[at][:begin] + ", ".join(names) + lines[at][end:]


def change_attributes(lines, rng):
    """Drops an entry of a dictionary, or gives it another's value."""
    places = [
        (i, match)
        for i, line in enumerate(lines)
        for match in re.finditer(r"(?<!\()\{(?=\"?[\w.]+\"?(?: = |[,}]))", line)
    ]
    if not places:
        return
    at, match = rng.choice(places)
    line, begin = lines[at], match.end()
    depth, end = 1, begin
    while end < len(line) and depth:
        depth += (line[end] in "{") - (line[end] in "}")
        end += 1
    entries = split(line[begin : end - 1])
    if not entries:
        return
    i = rng.randrange(len(entries))
    if rng.random() < 0.6:
        del entries[i]
    elif not entries[i].startswith("iterator_types"):
        other = rng.choice(entries)
        entries[i] = entries[i].split(" = ")[0] + " = " + other.split(" = ", 1)[-1]
    lines[at] = line[:begin] + ", ".join(entries) + line[end - 1 :]


def change_number(lines, rng):
    places = [(i, m) for i, line in enumerate(lines) for m in NUMBER.finditer(line)]
    at, match = rng.choice(places)
    old = int(match[0])
    new = rng.choice((*NUMBERS, str(old + 1), str(old - 1), str(2 * old)))
    begin, end = match.span()
    lines[at] = lines[at][:begin] + new + lines[at][end:]


def other_type(text, rng):
    if "<" not in text:
        return rng.choice(SCALARS)
    head, rest = text.split("<", 1)
    *dims, last = re.split(r"x(?![^<]*>.*>)", rest, maxsplit=rest.count("x"))
    action = rng.choice(("drop", "double", "change", "dynamic", "element", "kind", "unranked"))
    if action == "unranked":
        return f"{head}<*x{last}"
    if action == "kind":
        return rng.choice(("tensor<", "memref<", "vector<")) + rest
    if action == "element" or not dims:
        element = re.sub(r"^\w+", rng.choice(SCALARS), last)
        return f"{head}<" + "".join(d + "x" for d in dims) + element
    i = rng.randrange(len(dims))
    if action == "drop":
        del dims[i]
    elif action == "double":
        dims.insert(i, dims[i])
    elif action == "change":
        dims[i] = rng.choice(("0", "1", "2", "5", "33", str(2**40)))
    else:
        dims[i] = "?"
    return f"{head}<" + "".join(d + "x" for d in dims) + last


def change_type(lines, rng):
    """Changes a type where it stands, or wherever one like it does."""
    found = [m[0] for line in lines for m in TYPE.finditer(line)]
    old = rng.choice(found if rng.random() < 0.5 else sorted(set(found)))
    new = other_type(old, rng)
    places = [i for i, line in enumerate(lines) if old in line]
    if not places:
        return
    if rng.random() < 0.4:
        places = [rng.choice(places)]
    for i in places:
        lines[i] = lines[i].replace(old, new)


def drop_operation(lines, rng):
    """Drops an operation; what reads its result reads something else."""
    at = rng.choice([i for i, line in enumerate(lines) if re.match(r'\s+(%.*= )?"', line)])
    last = closing(lines, at)
    result = re.match(r"\s+(%[\w$.-]+)(?::\d+)? = ", lines[at])
    if rng.random() < 0.15:
        lines[last + 1 : last + 1] = [] if result else lines[at : last + 1]
        return
    del lines[at : last + 1]
    if result:
        names = VALUE.findall("\n".join(lines[max(0, at - 20) : at])) or ["%arg0"]
        other = rng.choice(names)
        name = re.compile(re.escape(result[1]) + r"(?:#\d+)?(?![\w$.-])")
        lines[:] = [name.sub(other, line) for line in lines]


def rename_operation(lines, rng):
    names = sorted({m for line in lines for m in re.findall(r'"(\w+\.[\w.]+)"\(', line)})
    old = rng.choice(names)
    same = [n for n in names if n.split(".")[0] == old.split(".")[0]]
    new = rng.choice(same if rng.random() < 0.8 else names)
    at = rng.choice([i for i, line in enumerate(lines) if f'"{old}"(' in line])
    lines[at] = lines[at].replace(f'"{old}"(', f'"{new}"(')


CHANGES = (
    change_operands, change_operands, change_attributes, change_attributes, change_number,
    change_type, change_type, drop_operation, rename_operation,
)  # fmt: skip


def changed(generic, pretty, rng):
    if rng.random() < 0.3:
        lines, changes = pretty.splitlines(), (change_number, change_type, change_attributes)
    else:
        lines, changes = generic.splitlines(), CHANGES
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        try:
            rng.choice(changes)(lines, rng)
        except IndexError:
            continue  # Nothing of its kind is left.
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--bin", default="build/fuzz/bin", type=Path)
    parser.add_argument("--count", type=int, default=60, help="copies of each dump")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--phase", action="append", help="only dumps of this phase")
    parser.add_argument("--compile-to", default="object", help="phase to stop after")
    parser.add_argument("--keep", type=Path, help="where to leave those that fail")
    options = parser.parse_args()

    failures = 0
    dumps = sorted(path for folder in options.folders for path in folder.glob("*.mlir"))
    for path in dumps:
        phase = path.stem.split("-", 1)[1]
        if options.phase and phase not in options.phase:
            continue
        pretty = path.read_text()
        command = [options.bin / "lutra-opt", "--mlir-print-op-generic", path]
        generic = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        codes = {}
        arguments = [f"--compile-from={phase}", f"--compile-to={options.compile_to}"]
        for i in range(options.count):
            rng = random.Random(f"{options.seed} {path.parent.name} {phase} {i}")
            content = changed(generic, pretty, rng).encode()
            with tempfile.TemporaryDirectory() as folder:
                tool = options.bin / "lutra-compile"
                name = "model.mlir"
                problem, code = judge(tool, content, Path(folder), arguments, name)
            codes[code] = codes.get(code, 0) + 1
            if problem:
                failures += 1
                print(f"{path}, copy {i}: {problem}", flush=True)
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    name = f"{path.parent.name}-{phase}-{options.seed}-{i}.mlir"
                    (options.keep / name).write_bytes(content)
        ends = ", ".join(f"{n} with exit code {code}" for code, n in codes.items())
        print(f"{path}: {options.count} copies: {ends}", flush=True)
    print(f"{failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
