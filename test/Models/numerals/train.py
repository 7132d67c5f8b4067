#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains the language model that writes Roman numerals, into weights.npz.

It is LLaMA in small: RMSNorm, rotary embedding, grouped-query attention, SwiGLU,
no biases. A text is "<s>1994=MCMXCIV\\n</s>"; what is after the equals sign is
learned. One number in ten is held out. The weights lie beside this script, so
that nobody has to wait for them, as float16; what is printed is of those.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import roman  # noqa: E402
from gradients import Adam, Tensor, cross_entropy, rms_norm, silu, softmax, store  # noqa: E402

WEIGHTS = Path(__file__).with_name("weights.npz")
HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_SIZE, INTERMEDIATE = 64, 2, 4, 2, 16, 192
EPSILON, ROPE_BASE = 1e-5, 10000.0
VOCABULARY = len(roman.VOCABULARY)
HELD_OUT = 400
SEED = 7


def shapes():
    """The parameters as {name: shape}, named as in Hugging Face's LLaMA. Matrices
    are [inputs, outputs]."""
    result = {"embed_tokens": (VOCABULARY, HIDDEN)}
    for i in range(LAYERS):
        layer = {
            "input_layernorm": (HIDDEN,),
            "self_attn.q_proj": (HIDDEN, HEADS * HEAD_SIZE),
            "self_attn.k_proj": (HIDDEN, KV_HEADS * HEAD_SIZE),
            "self_attn.v_proj": (HIDDEN, KV_HEADS * HEAD_SIZE),
            "self_attn.o_proj": (HEADS * HEAD_SIZE, HIDDEN),
            "post_attention_layernorm": (HIDDEN,),
            "mlp.gate_proj": (HIDDEN, INTERMEDIATE),
            "mlp.up_proj": (HIDDEN, INTERMEDIATE),
            "mlp.down_proj": (INTERMEDIATE, HIDDEN),
        }
        result |= {f"layers.{i}.{name}": shape for name, shape in layer.items()}
    return result | {"norm": (HIDDEN,), "lm_head": (HIDDEN, VOCABULARY)}


def rotary(length):
    """The cosines and sines of positions, [length, HEAD_SIZE], and the matrix that
    turns a head by a quarter."""
    half = HEAD_SIZE // 2
    frequencies = ROPE_BASE ** (-np.arange(half) / half)
    angles = np.tile(np.outer(np.arange(length), frequencies), 2)
    quarter = np.eye(HEAD_SIZE, k=half) - np.eye(HEAD_SIZE, k=-half)
    return [a.astype(np.float32) for a in (np.cos(angles), np.sin(angles), quarter)]


def attention(x, weights, batch, length):
    cos, sin, quarter = rotary(length)
    group = HEADS // KV_HEADS

    def heads(name, group):
        # A head of keys and values serves a group of heads of queries.
        split = (x @ weights[f"{name}_proj"]).reshape(
            batch, length, KV_HEADS, group, HEAD_SIZE
        )
        return split.transpose(0, 2, 3, 1, 4)

    q, k, v = heads("q", group), heads("k", 1), heads("v", 1)
    q, k = (y * cos + y @ quarter * sin for y in (q, k))
    future = np.triu(np.full((length, length), -1e9, np.float32), 1)
    scores = q @ k.transpose(0, 1, 2, 4, 3) * HEAD_SIZE**-0.5 + future
    y = (softmax(scores) @ v).transpose(0, 3, 1, 2, 4)
    return y.reshape(batch * length, HEADS * HEAD_SIZE) @ weights["o_proj"]


def forward(weights, ids):
    """Logits [batch * length, VOCABULARY] of ids [batch, length]."""

    def within(prefix):
        return {
            name.removeprefix(prefix): weight
            for name, weight in weights.items()
            if name.startswith(prefix)
        }

    one_hot = np.eye(VOCABULARY, dtype=np.float32)[ids.reshape(-1)]
    x = one_hot @ weights["embed_tokens"]
    for i in range(LAYERS):
        layer = within(f"layers.{i}.")
        y = rms_norm(x, layer["input_layernorm"], EPSILON)
        x = x + attention(y, within(f"layers.{i}.self_attn."), *ids.shape)
        y = rms_norm(x, layer["post_attention_layernorm"], EPSILON)
        gated = silu(y @ layer["mlp.gate_proj"]) * (y @ layer["mlp.up_proj"])
        x = x + gated @ layer["mlp.down_proj"]
    return rms_norm(x, weights["norm"], EPSILON) @ weights["lm_head"]


def texts():
    """What is read and what is to be written next, of all numbers: ids and targets
    [LARGEST, length]. A target that does not count is -1."""
    rows = []
    for number in range(1, roman.LARGEST + 1):
        question = [roman.BEGIN, *roman.encode(f"{number}=")]
        answer = [*roman.encode(roman.roman(number) + "\n"), roman.END]
        rows.append((question, answer))
    length = max(len(q) + len(a) for q, a in rows) - 1
    ids = np.full((len(rows), length), roman.END)
    targets = np.full((len(rows), length), -1)
    for i, (question, answer) in enumerate(rows):
        text = question + answer
        ids[i, : len(text) - 1] = text[:-1]
        targets[i, len(question) - 1 : len(text) - 1] = answer
    return ids, targets


def split(random):
    """The indices of texts that are held out, and of those that are learned."""
    shuffled = random.permutation(roman.LARGEST)
    return shuffled[:HELD_OUT], shuffled[HELD_OUT:]


def initial(random):
    def weight(name, shape):
        if len(shape) == 1:
            return np.ones(shape, np.float32)
        scale = 0.5 if name == "embed_tokens" else shape[0] ** -0.5
        return random.standard_normal(shape, np.float32) * np.float32(scale)

    return {
        name: Tensor(weight(name, shape), trainable=True)
        for name, shape in shapes().items()
    }


def right(weights, ids, targets):
    """Which texts it continues without a mistake. Who is right at every step after
    the right beginning is right when it goes on from its own."""
    result = []
    for start in range(0, len(ids), 500):
        some = slice(start, start + 500)
        best = forward(weights, ids[some]).data.argmax(-1).reshape(ids[some].shape)
        result.append(((best == targets[some]) | (targets[some] < 0)).all(1))
    return np.concatenate(result)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--shrink", type=float, default=0.5)
    options = parser.parse_args()
    random = np.random.default_rng(SEED)
    ids, targets = texts()
    held_out, learned = split(random)
    weights = initial(random)
    adam = Adam(weights, options.rate, options.steps, options.shrink)
    for step in range(1, options.steps + 1):
        some = random.choice(learned, options.batch, replace=False)
        loss = cross_entropy(forward(weights, ids[some]), targets[some].reshape(-1))
        loss.backward()
        adam.step()
        if step % 250 == 0:
            share = right(weights, ids[held_out], targets[held_out]).mean()
            print(
                f"step {step}: loss {loss.data:.5f}, held out {share:.1%}, "
                f"{time.process_time():.0f} s",
                flush=True,
            )
    rounded = store(WEIGHTS, weights)
    correct = right(rounded, ids, targets)
    print(f"all: {correct.mean():.2%}, held out: {correct[held_out].mean():.2%}")
    if not correct.all():
        print("wrong:", *(np.flatnonzero(~correct) + 1))


if __name__ == "__main__":
    main()
