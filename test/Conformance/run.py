#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs ONNX's node tests: run.py [--dynamic] [NAME...]

A test passes, or the compiler refuses its model with a reason. The refused ones
are in expected_failures.txt, which may only shrink: a listed test that passes
fails the run until scripts/update-conformance strikes it out. Wrong outputs and
crashes are always failures, listed or not.

With --dynamic every size above one is symbolic, and the list of what is refused
is expected_failures_dynamic.txt.
"""

import argparse
import os
import sys
import xml.etree.ElementTree as xml
from collections import Counter
from pathlib import Path

from cases import CRASH, PASS, REFUSED, WRONG, collect
from pool import judge_all

HERE = Path(__file__).resolve().parent
LISTS = {
    False: HERE / "expected_failures.txt",
    True: HERE / "expected_failures_dynamic.txt",
}
HEADER = """\
# ONNX node tests that the compiler refuses, each with the reason that it gives.
# Written by scripts/update-conformance; may only shrink.
"""


def read_list(path):
    if not path.exists():
        return {}
    lines = path.read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line and line[0] != "#")


def write_list(path, refused):
    lines = [f"{name}: {refused[name]}\n" for name in sorted(refused)]
    path.write_text(HEADER + "".join(lines))


def show_progress(done, total):
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r{done} of {total}", end=end, file=sys.stderr, flush=True)


def failure(outcome, is_listed, path):
    """Why this outcome fails the run, or an empty string."""
    if outcome.kind in (WRONG, CRASH):
        return f"{outcome.kind}: {outcome.reason}"
    if outcome.kind == REFUSED and not is_listed:
        return f"refused and not in {path.name}: {outcome.reason}"
    if outcome.kind == PASS and is_listed:
        return f"passes but is in {path.name}; run scripts/update-conformance"
    return ""


def printable(text):
    """XML has no place for control characters, which a tensor's text may hold."""
    return "".join(c if c.isprintable() else " " for c in text)


def write_junit(path, suite_name, outcomes, failures):
    suite = xml.Element("testsuite", name=suite_name)
    for name, outcome in sorted(outcomes.items()):
        case = xml.SubElement(suite, "testcase", classname=suite_name, name=name)
        if name in failures:
            xml.SubElement(case, "failure", message=printable(failures[name]))
        elif outcome.kind == REFUSED:
            xml.SubElement(case, "skipped", message=printable(outcome.reason))
    xml.ElementTree(suite).write(path)


def update(path, outcomes, listed, allow_growth):
    """Writes the list anew; returns the exit status."""
    refused = {name: o.reason for name, o in outcomes.items() if o.kind == REFUSED}
    grown = sorted(refused.keys() - listed.keys())
    if grown and path.exists() and not allow_growth:
        print(f"{path.name} may only shrink; newly refused:")
        for name in grown:
            print(f"    {name}: {refused[name]}")
        return 1
    write_list(path, refused)
    print(f"{path.name}: {len(listed)} before, {len(refused)} now")
    return 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="tests to run (default: all)")
    parser.add_argument("--dynamic", action="store_true")
    parser.add_argument("--update", action="store_true", help="write the list anew")
    parser.add_argument("--allow-growth", action="store_true")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--junit", type=Path)
    options = parser.parse_args()
    if options.update and options.names:
        parser.error("--update needs all tests")

    cases = collect()
    if unknown := sorted(set(options.names) - cases.keys()):
        parser.error(f"no such test: {', '.join(unknown)}")
    names = options.names or sorted(cases)
    outcomes = judge_all(
        cases, names, options.dynamic, options.workers, progress=show_progress
    )

    path = LISTS[options.dynamic]
    listed = read_list(path)
    failures = {
        name: message
        for name, outcome in outcomes.items()
        if (message := failure(outcome, name in listed, path))
    }
    if options.junit:
        suite = "dynamic" if options.dynamic else "conformance"
        write_junit(options.junit, suite, outcomes, failures)
    counts = Counter(outcome.kind for outcome in outcomes.values())
    summary = ", ".join(f"{counts[kind]} {kind}" for kind in (PASS, REFUSED, WRONG, CRASH))
    status = 0
    if options.update:
        failures = {n: m for n, m in failures.items() if outcomes[n].kind in (WRONG, CRASH)}
        status = update(path, outcomes, listed, options.allow_growth)
    for name in sorted(failures):
        print(f"{name}: {failures[name]}")
    print(f"{len(outcomes)} node tests: {summary}; {len(failures)} failures")
    return 1 if failures else status


if __name__ == "__main__":
    sys.exit(main())
