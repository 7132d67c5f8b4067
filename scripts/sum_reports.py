# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Sums up the JUnit reports of test suites: sum_reports.py FOLDER SUITE...

Prints a line for each suite and one for all. A suite without a readable report,
or with a report of no tests, counts as one failure: it did not do its work.
"""

import sys
import xml.etree.ElementTree as xml
from pathlib import Path


def count(report):
    """Passed, failed and skipped tests in a report, and the failed ones' names."""
    passed = skipped = 0
    failed = []
    for case in xml.parse(report).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(case.get("name"))
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main():
    folder, suites = Path(sys.argv[1]), sys.argv[2:]
    total_passed = total_failed = total_skipped = 0
    for suite in suites:
        try:
            passed, failed, skipped = count(folder / f"{suite}.xml")
            note = "" if passed or failed or skipped else "no tests in its report"
        except (OSError, xml.ParseError) as error:
            passed, failed, skipped, note = 0, [], 0, f"no report: {error}"
        if note:
            failed = [suite]
        print(f"{suite:12} {passed:5} passed {len(failed):5} failed "
              f"{skipped:5} skipped  {note}".rstrip())  # fmt: skip
        for name in failed[:20]:
            print(f"{'':12} failed: {name}")
        if len(failed) > 20:
            print(f"{'':12} and {len(failed) - 20} more")
        total_passed += passed
        total_failed += len(failed)
        total_skipped += skipped
    print(f"{total_passed} passed, {total_failed} failed, {total_skipped} skipped")
    return 1 if total_failed else 0


if __name__ == "__main__":
    sys.exit(main())
