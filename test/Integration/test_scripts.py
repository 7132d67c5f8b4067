# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The scripts that judge: what must not pass does not."""

import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "test" / "Conformance"))

PASSED = '<testsuite><testcase name="a"/></testsuite>'
FAILED = '<testsuite><testcase name="b"><failure message="no"/></testcase></testsuite>'


def sum_reports(folder, *suites):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "sum_reports.py", folder, *suites],
        capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "report, status, line",
    [
        (PASSED, 0, "1 passed, 0 failed, 0 skipped"),
        (FAILED, 1, "0 passed, 1 failed, 0 skipped"),
        ("<testsuite/>", 1, "0 passed, 1 failed, 0 skipped"),
        ("<testsuite", 1, "0 passed, 1 failed, 0 skipped"),
        (None, 1, "0 passed, 1 failed, 0 skipped"),
    ],
    ids=["passed", "failed", "empty", "broken", "none"],
)
def test_sum_of_reports(report, status, line, tmp_path):
    if report is not None:
        (tmp_path / "unit.xml").write_text(report)
    assert sum_reports(tmp_path, "unit") == (status, line)


@pytest.mark.parametrize(
    "kind, listed, fails",
    [
        ("pass", False, False),
        ("pass", True, True),
        ("refused", True, False),
        ("refused", False, True),
        ("wrong", True, True),
        ("crash", True, True),
    ],
)
def test_expected_failures(kind, listed, fails):
    import run
    from cases import Outcome

    for path in run.LISTS.values():
        assert bool(run.failure(Outcome(kind, "why"), listed, path)) == fails


def test_expected_failures_only_shrink(tmp_path):
    import run
    from cases import Outcome

    path = tmp_path / "expected_failures.txt"
    old = {"old": "why"}
    run.write_list(path, old)
    both = {name: Outcome("refused", "why") for name in ("old", "new")}
    assert run.update(path, both, old, allow_growth=False) == 1
    assert run.read_list(path) == old
    assert run.update(path, {"old": Outcome("pass")}, old, allow_growth=False) == 0
    assert run.read_list(path) == {}


def test_crash_costs_one_test():
    """A worker that dies takes its own test along and no other."""
    script = (
        "import os, pool\n"
        "def judge(case, symbolic):\n"
        "    if case == 'dies': os.abort()\n"
        "    if case == 'hangs':\n"
        "        while True: pass\n"
        "    return pool.Outcome('pass')\n"
        "pool.judge = judge\n"
        "names = ['a', 'dies', 'b', 'hangs', 'c']\n"
        "outcomes = pool.judge_all({n: n for n in names}, names, workers=1, timeout=2)\n"
        "print(*(outcomes[n].kind for n in names))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT / "test" / "Conformance",
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["pass", "crash", "pass", "crash", "pass"], done.stderr
