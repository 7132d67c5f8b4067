# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights stay in their file: no copy in memory, none in the dumps."""

import re
import subprocess
import time
from pathlib import Path

import pytest
from conftest import BUILD, PHASES

WEIGHTS = 8 * 4096 * 4097 * 4


def anonymous_peak(command):
    """The most anonymous memory that a command had, in bytes."""
    peak = 0
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        found = re.search(r"RssAnon:\s+(\d+) kB", status.read_text())
        peak = max(peak, int(found[1]) * 1024 if found else 0)
        time.sleep(0.005)
    assert process.returncode == 0, process.stderr.read().decode()
    return peak


@pytest.mark.parametrize("weights", ["external", "embed"])
def test_compiling_half_a_gigabyte(mlp, tmp_path, weights):
    command = [
        BUILD / "bin" / "lutra-compile",
        mlp,
        "-o",
        tmp_path / "mlp.so",
        f"--weights={weights}",
        f"--dump-ir={tmp_path}/ir",
    ]
    peak = anonymous_peak(command)
    assert peak < 0.3 * WEIGHTS + 300e6, f"{peak / 1e6:.0f} MB"
    dumps = list((tmp_path / "ir").iterdir())
    assert len(dumps) == len(PHASES)
    for dump in dumps:
        assert dump.stat().st_size < 5_000_000, dump.name


def test_quantizing_half_a_gigabyte(mlp, tmp_path):
    command = [BUILD / "bin" / "lutra-compile", mlp, "-o", tmp_path / "mlp.so"]
    peak = anonymous_peak([*command, "--quantize=int4:nearest"])
    assert peak < 0.3 * WEIGHTS + 300e6, f"{peak / 1e6:.0f} MB"
    assert (tmp_path / "mlp.weights").stat().st_size < 0.15 * WEIGHTS
