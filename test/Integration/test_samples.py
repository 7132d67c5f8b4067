# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The samples that read and write text, at all small sizes beside ONNX Runtime."""

import lutra
import numpy as np
import pytest
from Models.encoder import train as encoding
from Models.exporter import onnx_runtime
from Models.numerals import make_numerals as writing
from Models.roman import BEGIN, END, encode, roman

LONGEST = 20
NUMBERS = [7, 48, 1994, 2026, 3888, 3999]


def assert_agree(actual, expected):
    assert list(actual) == list(expected)
    for name, array in expected.items():
        assert actual[name].shape == array.shape, name
        assert actual[name].dtype == array.dtype, name
        np.testing.assert_allclose(actual[name], array, rtol=1e-4, atol=1e-4)


def padded(random, batch, length):
    """A mask with padding on the left, and at times behind, in each row."""
    mask = np.zeros((batch, length), np.int64)
    for row in mask:
        first = random.integers(length)
        row[first : length - random.integers(2) * random.integers(length - first)] = 1
    return mask


@pytest.fixture(scope="module")
def writer(numerals):
    """The language model, compiled and in ONNX Runtime."""
    compiled = lutra.compile(numerals, dim={writing.PAST: (0, None)})
    return compiled, onnx_runtime(numerals)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_numerals_agree(writer, batch):
    compiled, reference = writer
    random = np.random.default_rng(batch)
    for past in range(LONGEST + 1):
        for length in range(1, LONGEST + 1):
            mask = padded(random, batch, past + length)
            inputs = {
                "input_ids": random.integers(writing.VOCABULARY, size=(batch, length)),
                "attention_mask": mask,
                "position_ids": np.maximum(mask.cumsum(1) - 1, 0)[:, past:],
            }
            for name, empty in writing.no_past(batch).items():
                shape = (*empty.shape[:2], past, empty.shape[3])
                inputs[name] = random.standard_normal(shape, np.float32)
            assert_agree(compiled(inputs), reference(inputs))


@pytest.mark.parametrize("number", NUMBERS)
def test_numerals_writes(writer, number):
    """Token by token, with the cache passed by hand."""
    texts = [writing.generate(run, [writing.prompt(number)]) for run in writer]
    assert texts == [[f"{roman(number)}\n"]] * 2


def test_numerals_writes_all(writer):
    assert writing.wrong(writer[0]) == []


def test_numerals_writes_padded(writer):
    prompts = [writing.prompt(number) for number in NUMBERS]
    length = max(map(len, prompts))
    ids = [[END] * (length - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    for run in writer:
        assert writing.generate(run, ids, mask) == [f"{roman(n)}\n" for n in NUMBERS]


def test_numerals_reads_all_at_once(writer):
    """A text has the same logits and the same cache however it is cut."""
    compiled, reference = writer
    text = np.array([[BEGIN, *encode("2888=MMDCCCLXXXVIII\n"), END]])
    length = text.shape[1]

    def read(run, *ends):
        past, logits, start = writing.no_past(1), [], 0
        for end in ends:
            outputs = run({
                "input_ids": text[:, start:end],
                "attention_mask": np.ones((1, end), np.int64),
                "position_ids": np.arange(start, end)[None],
                **past,
            })  # fmt: skip
            logits.append(outputs.pop("logits"))
            past = dict(zip(past, outputs.values()))
            start = end
        return {"logits": np.concatenate(logits, axis=1), **past}

    expected = read(reference, length)
    for ends in ([length], range(1, length + 1), [6, 7, 15, length]):
        assert_agree(read(compiled, *ends), expected)


@pytest.fixture(scope="module")
def reader(encoder):
    """The encoder, compiled and in ONNX Runtime."""
    compiled = lutra.compile(
        encoder, dim={"sequence_length": (1, encoding.POSITIONS)}
    )
    return compiled, onnx_runtime(encoder)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_encoder_agrees(reader, batch):
    compiled, reference = reader
    random = np.random.default_rng(batch)
    for length in range(1, LONGEST + 1):
        inputs = {
            "input_ids": random.integers(encoding.VOCABULARY, size=(batch, length)),
            "attention_mask": padded(random, batch, length),
        }
        assert_agree(compiled(inputs), reference(inputs))


def test_encoder_reads(reader):
    texts = {"MCMXCIV": 2, "MCMXCV": 1, "MCMXCVV": 0, "I": 1, "IIII": 0, "MMXXVI": 2}
    ids, mask = encoding.encode(texts)
    for run in reader:
        logits = run({"input_ids": ids, "attention_mask": mask})["logits"]
        assert dict(zip(texts, logits.argmax(-1).tolist())) == texts
