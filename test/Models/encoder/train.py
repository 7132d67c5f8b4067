#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains the text encoder that reads Roman numerals, into weights.npz.

It is BERT in small: learned positions, attention in both directions over what is
no padding, LayerNorm after each addition, GELU, and a classifier of the mean of
all tokens. It says of a text whether it is a numeral of an odd number, of an even
one, or none. One number in ten is held out, and of the texts that are no numerals
as many. The weights lie beside this script as float16; what is printed is of those.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import roman  # noqa: E402
from gradients import Adam, Tensor, cross_entropy, gelu, layer_norm, softmax, store  # noqa: E402

WEIGHTS = Path(__file__).with_name("weights.npz")
HIDDEN, LAYERS, HEADS, HEAD_SIZE, INTERMEDIATE, POSITIONS = 64, 2, 4, 16, 128, 32
EPSILON = 1e-12
VOCABULARY = len(roman.VOCABULARY)
CLASSES = ["no numeral", "odd", "even"]
HELD_OUT = 400
SEED = 7

NUMERALS = {roman.roman(n): n for n in range(1, roman.LARGEST + 1)}
LONGEST = max(map(len, NUMERALS)) + 2


def shapes():
    """The parameters as {name: shape}, named as in Hugging Face's BERT. Matrices
    are [inputs, outputs]."""
    result = {
        "embeddings.word_embeddings": (VOCABULARY, HIDDEN),
        "embeddings.position_embeddings": (POSITIONS, HIDDEN),
    }
    norms = ["embeddings.LayerNorm"]
    linears = {"classifier": (HIDDEN, len(CLASSES))}
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}"
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        for kind in ("query", "key", "value"):
            linears[f"{layer}.attention.self.{kind}"] = (HIDDEN, HEADS * HEAD_SIZE)
        linears[f"{layer}.attention.output.dense"] = (HEADS * HEAD_SIZE, HIDDEN)
        linears[f"{layer}.intermediate.dense"] = (HIDDEN, INTERMEDIATE)
        linears[f"{layer}.output.dense"] = (INTERMEDIATE, HIDDEN)
    for name in norms:
        result |= {f"{name}.weight": (HIDDEN,), f"{name}.bias": (HIDDEN,)}
    for name, shape in linears.items():
        result |= {f"{name}.weight": shape, f"{name}.bias": shape[1:]}
    return result


def forward(weights, ids, mask):
    """Logits [batch, classes] of ids [batch, length] and a mask of zeros and ones."""
    batch, length = ids.shape

    def linear(x, name):
        return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def norm(x, name):
        return layer_norm(
            x, weights[f"{name}.weight"], weights[f"{name}.bias"], EPSILON
        )

    def heads(x, name):
        split = linear(x, name).reshape(batch, length, HEADS, HEAD_SIZE)
        return split.transpose(0, 2, 1, 3)

    def attention(x, name):
        q, k, v = (heads(x, f"{name}.self.{kind}") for kind in ("query", "key", "value"))
        scores = q @ k.transpose(0, 1, 3, 2) * HEAD_SIZE**-0.5 + padding
        y = (softmax(scores) @ v).transpose(0, 2, 1, 3)
        return linear(y.reshape(-1, HEADS * HEAD_SIZE), f"{name}.output.dense")

    mask = mask.astype(np.float32)
    padding = (1 - mask)[:, None, None] * np.float32(-1e9)
    one_hot = np.eye(VOCABULARY, dtype=np.float32)[ids.reshape(-1)]
    places = np.tile(np.eye(POSITIONS, dtype=np.float32)[:length], (batch, 1))
    x = one_hot @ weights["embeddings.word_embeddings"]
    x = x + places @ weights["embeddings.position_embeddings"]
    x = norm(x, "embeddings.LayerNorm")
    for i in range(LAYERS):
        layer = f"encoder.layer.{i}"
        y = attention(x, f"{layer}.attention")
        x = norm(x + y, f"{layer}.attention.output.LayerNorm")
        y = linear(gelu(linear(x, f"{layer}.intermediate.dense")), f"{layer}.output.dense")
        x = norm(x + y, f"{layer}.output.LayerNorm")
    share = mask / mask.sum(1, keepdims=True)
    mean = share[:, None] @ x.reshape(batch, length, HIDDEN)
    return linear(mean.reshape(batch, HIDDEN), "classifier")


def runner(weights):
    return lambda ids, mask: forward(weights, ids, mask).data


def label(text):
    """The index in CLASSES of what a text is."""
    return 2 - NUMERALS[text] % 2 if text in NUMERALS else 0


def spoilt(random):
    """A text of numerals' letters that is none, at times by one letter only."""
    texts = list(NUMERALS)
    while True:
        letters = list(texts[random.integers(len(texts))])
        for _ in range(random.integers(1, 4)):
            place, letter = random.integers(len(letters)), random.choice(list(roman.LETTERS))
            change = random.integers(4)
            if change == 0:
                letters[place] = letter
            elif change == 1:
                letters.insert(place, letter)
            elif change == 2 and len(letters) > 1:
                del letters[place]
            else:
                other = random.integers(len(letters))
                letters[place], letters[other] = letters[other], letters[place]
        text = "".join(letters)
        if text not in NUMERALS and len(text) + 2 <= LONGEST:
            return text


def encode(texts):
    """Texts as ids and mask [batch, length], padded on the right."""
    rows = [[roman.BEGIN, *roman.encode(text), roman.END] for text in texts]
    ids = np.full((len(rows), max(map(len, rows))), roman.END)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    return ids, mask


def initial(random):
    def weight(name, shape):
        if len(shape) == 1:
            one = name.endswith("LayerNorm.weight")
            return np.full(shape, one, np.float32)
        scale = 0.5 if "embeddings" in name else shape[0] ** -0.5
        return random.standard_normal(shape, np.float32) * np.float32(scale)

    return {
        name: Tensor(weight(name, shape), trainable=True)
        for name, shape in shapes().items()
    }


def right(run, texts):
    """Which texts are classified right by `run`, from ids and mask to logits."""
    result = []
    for start in range(0, len(texts), 500):
        some = texts[start : start + 500]
        best = run(*encode(some)).argmax(-1)
        result.append(best == [label(text) for text in some])
    return np.concatenate(result)


def held_out_texts():
    """Numerals and other texts that training never sees."""
    random = np.random.default_rng(SEED)
    numerals = random.permutation(list(NUMERALS))[:HELD_OUT].tolist()
    return numerals, sorted({spoilt(random) for _ in range(HELD_OUT)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-3)
    options = parser.parse_args()
    held_out = held_out_texts()
    unseen = {text for texts in held_out for text in texts}
    learned = [text for text in NUMERALS if text not in unseen]
    random = np.random.default_rng(SEED + 1)
    weights = initial(random)
    adam = Adam(weights, options.rate, options.steps)
    for step in range(1, options.steps + 1):
        texts = random.choice(learned, options.batch // 2, replace=False).tolist()
        others = (spoilt(random) for _ in range(options.batch // 2))
        texts += [text for text in others if text not in unseen]
        targets = np.array([label(text) for text in texts])
        loss = cross_entropy(forward(weights, *encode(texts)), targets)
        loss.backward()
        adam.step()
        if step % 250 == 0:
            shares = [right(runner(weights), texts).mean() for texts in held_out]
            print(
                f"step {step}: loss {loss.data:.5f}, held out {shares[0]:.1%} of "
                f"numerals, {shares[1]:.1%} of others, {time.process_time():.0f} s",
                flush=True,
            )
    weights = store(WEIGHTS, weights)
    everything = [list(NUMERALS), *held_out]
    shares = [f"{right(runner(weights), texts).mean():.2%}" for texts in everything]
    print(f"all numerals {shares[0]}; held out: numerals {shares[1]}, others {shares[2]}")


if __name__ == "__main__":
    main()
