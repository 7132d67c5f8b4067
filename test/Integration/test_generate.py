# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""lutra-run --generate with a language model: "1994=" continues with "MCMXCIV"."""

import pytest
from conftest import MODELS, lutra_compile, run_tool
from Models.roman import roman

CACHE = "past_key_values.*:present.*:max={}"


@pytest.fixture(scope="module")
def artifact(numerals, tmp_path_factory):
    path = tmp_path_factory.mktemp("numerals") / "numerals.so"
    lutra_compile(numerals, "-o", path, f"--state={CACHE.format(48)}")
    return path


def generate(artifact, prompt, *options, expect=0):
    return run_tool(
        "lutra-run", artifact, f"--generate={prompt}",
        f"--tokenizer={MODELS / 'tokenizer.json'}", *options, expect=expect,
    )  # fmt: skip


@pytest.mark.parametrize("number", [1, 9, 444, 1994, 2026, 3888, 3999])
def test_writes_numerals(artifact, number):
    done = generate(artifact, f"{number}=")
    assert done.stdout == roman(number) + "\n"


@pytest.mark.parametrize("threads", [1, 2])
def test_ends_where_it_is_told(artifact, threads):
    threads = f"--threads={threads}"
    assert generate(artifact, "1994=", "--max-tokens=3", threads).stdout == "MCM\n"
    assert generate(artifact, "1994=", "--stop=XC", threads).stdout == "MCM\n"


def test_draws_the_same_with_the_same_seed(artifact):
    drawing = ("--temperature=20", "--max-tokens=20")
    texts = [generate(artifact, "1994=", *drawing, f"--seed={s}").stdout for s in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_ends_where_the_state_is_full(numerals, tmp_path):
    path = tmp_path / "small.so"
    lutra_compile(numerals, "-o", path, f"--state={CACHE.format(8)}")
    # "<s>1994=" are 6: two more are kept, and the third is only written.
    assert generate(path, "1994=").stdout == "MCM\n"
    done = generate(path, "1994=1994=", expect=3)
    assert "state is full: room for 8, holds 0, this run adds 11" in done.stderr


def test_needs_a_state(numerals, tmp_path):
    path = tmp_path / "stateless.so"
    lutra_compile(numerals, "-o", path)
    done = generate(path, "1994=", expect=3)
    assert "model 'numerals' keeps no state" in done.stderr
    assert "compile it with --state" in done.stderr
