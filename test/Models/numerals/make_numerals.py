#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes a small language model: it continues "1994=" with "MCMXCIV\\n".

train.py describes and trains it. Here it becomes a graph as Hugging Face's
optimum exports a LLaMA, with a cache of keys and values:

    input_ids int64 [batch_size, sequence_length]
    attention_mask int64 [batch_size, past_sequence_length + sequence_length]
    position_ids int64 [batch_size, sequence_length]
    past_key_values.N.key, .value float32 [batch_size, 2, past_sequence_length, 16]
    logits float32 [batch_size, sequence_length, 22]
    present.N.key, .value float32 [.., past_sequence_length + sequence_length, 16]

Written into the output folder:

    numerals.onnx   the model
    tokenizer.json  its tokenizer, as Hugging Face's library reads it
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import roman  # noqa: E402
from exporter import BOOL, F32, I64, Graph, onnx_runtime  # noqa: E402
from numerals.train import (  # noqa: E402
    EPSILON, HEAD_SIZE, HEADS, HIDDEN, KV_HEADS, LAYERS, ROPE_BASE, SEED, VOCABULARY,
    WEIGHTS, split,
)  # fmt: skip

BATCH, LENGTH, PAST = "batch_size", "sequence_length", "past_sequence_length"
TOTAL = f"{PAST} + {LENGTH}"


class Numerals(Graph):
    def __init__(self, weights):
        super().__init__("numerals")
        self.weights = weights

    def build(self):
        ids = self.input("input_ids", I64, [BATCH, LENGTH])
        mask = self.input("attention_mask", I64, [BATCH, TOTAL])
        positions = self.input("position_ids", I64, [BATCH, LENGTH])
        past = [
            [
                self.input(
                    f"past_key_values.{i}.{kind}", F32, [BATCH, KV_HEADS, PAST, HEAD_SIZE]
                )
                for kind in ("key", "value")
            ]
            for i in range(LAYERS)
        ]
        with self.scope("model"):
            with self.scope("embed_tokens"):
                table = self.weight(
                    "model.embed_tokens.weight", self.weights["embed_tokens"]
                )
                x = self.node("Gather", table, ids)
            mask = self.causal_mask(x, mask, past[0][0])
            rotary = self.rotary(positions)
            for i in range(LAYERS):
                with self.scope(f"layers.{i}"):
                    x = self.layer(x, i, mask, rotary, past[i])
            x = self.norm(x, "norm")
        logits = self.linear(x, "lm_head", self.weights["lm_head"])
        self.output("logits", logits, [BATCH, LENGTH, VOCABULARY])
        for i, pair in enumerate(past):
            for kind, value in zip(("key", "value"), pair):
                shape = [BATCH, KV_HEADS, TOTAL, HEAD_SIZE]
                self.output(f"present.{i}.{kind}", value, shape)
        return self.model()

    def causal_mask(self, x, mask, past):
        """What is added to scores: nothing, or so little that the softmax has
        nothing left for what is later or padding."""
        zero, one = self.constant(0), self.constant(1)
        batch, length, before = self.size(x, 0), self.size(x, 1), self.size(past, 2)
        total = self.node("Add", before, length)
        queries = self.unsqueeze(self.node("Range", before, total, one), 0, 1, 3)
        keys = self.unsqueeze(
            self.node("Range", zero, self.size(mask, 1), one), 0, 1, 2
        )
        seen = self.node("LessOrEqual", keys, queries)
        real = self.unsqueeze(self.node("Cast", mask, to=BOOL), 1, 2)
        seen = self.node("And", seen, real)
        seen = self.node("Expand", seen, self.shape(batch, 1, length, total))
        least = self.number(np.finfo(np.float32).min)
        return self.node("Where", seen, self.number(0), least)

    def rotary(self, positions):
        with self.scope("rotary_emb"):
            exponents = np.arange(0, HEAD_SIZE, 2) / HEAD_SIZE
            frequencies = self.number(ROPE_BASE ** -exponents.reshape(1, -1, 1))
            shape = self.shape(self.size(positions, 0), -1, 1)
            frequencies = self.expand(frequencies, shape)
            positions = self.node("Cast", self.unsqueeze(positions, 1), to=F32)
            angles = self.node("MatMul", frequencies, positions)
            angles = self.node("Transpose", angles, perm=[0, 2, 1])
            angles = self.node("Concat", angles, angles, axis=-1)
            return [
                self.unsqueeze(
                    self.node("Mul", self.node(op, angles), self.number(1)), 1
                )
                for op in ("Cos", "Sin")
            ]

    def expand(self, x, shape):
        """To a shape in which -1 is what the tensor has, as PyTorch's `expand`."""
        ones = self.node("ConstantOfShape", self.node("Shape", shape),
                         value=onnx.numpy_helper.from_array(np.ones(1, np.int64)))  # fmt: skip
        absent = self.node("Equal", shape, self.node("Mul", ones, self.constant(-1)))
        return self.node("Expand", x, self.node("Where", absent, ones, shape))

    def norm(self, x, name):
        with self.scope(name.split(".")[-1]):
            square = self.mean(self.node("Pow", x, self.number(2)))
            root = self.node("Sqrt", self.node("Add", square, self.number(EPSILON)))
            x = self.node("Mul", x, self.node("Div", self.number(1), root))
            weight = self.weight(f"model.{name}.weight", self.weights[name])
            return self.node("Mul", weight, x)

    def project(self, x, name):
        return self.linear(x, f"model.{name}", self.weights[name])

    def layer(self, x, i, mask, rotary, past):
        y = self.norm(x, f"layers.{i}.input_layernorm")
        with self.scope("self_attn"):
            y = self.attention(y, f"layers.{i}.self_attn", mask, rotary, past)
        x = self.node("Add", x, y)
        y = self.norm(x, f"layers.{i}.post_attention_layernorm")
        with self.scope("mlp"):
            gate = self.project(y, f"layers.{i}.mlp.gate_proj")
            with self.scope("act_fn"):
                gate = self.node("Mul", gate, self.node("Sigmoid", gate))
            up = self.project(y, f"layers.{i}.mlp.up_proj")
            y = self.project(self.node("Mul", gate, up), f"layers.{i}.mlp.down_proj")
        return self.node("Add", x, y)

    def attention(self, x, name, mask, rotary, past):
        """Replaces `past` by what it is after these tokens."""
        batch, length = self.size(x, 0), self.size(x, 1)
        q, k, v = (
            self.split_heads(
                self.project(x, f"{name}.{kind}_proj"), batch, length, heads, HEAD_SIZE
            )
            for kind, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS))
        )
        q, k = self.rotate(q, rotary), self.rotate(k, rotary)
        past[:] = (self.node("Concat", *pair, axis=-2) for pair in zip(past, (k, v)))
        k, v = (self.repeat(y) for y in past)

        # The scale is shared by both factors.
        width = self.node("Cast", self.size(q, 3), to=F32)
        scale = self.node("Div", self.number(1), self.node("Sqrt", width))
        q = self.node("Mul", q, self.node("Sqrt", scale))
        k = self.node("Transpose", k, perm=[0, 1, 3, 2])
        k = self.node("Mul", k, self.node("Sqrt", scale))
        end = self.unsqueeze(self.size(past[0], 2), 0)
        mask = self.node("Slice", mask, self.constant([0]), end, self.constant([3]),
                         self.constant([1]))  # fmt: skip
        scores = self.node("Add", self.node("MatMul", q, k), mask)
        y = self.node("MatMul", self.node("Softmax", scores, axis=-1), v)
        y = self.join_heads(y, batch, length, -1)
        return self.project(y, f"{name}.o_proj")

    def rotate(self, x, rotary):
        cos, sin = rotary
        axis, step = self.constant([3]), self.constant([1])
        half = self.node("Div", self.size(x, 3), self.constant(2))
        half = self.unsqueeze(half, 0)
        first = self.node("Slice", x, self.constant([0]), half, axis, step)
        last = self.constant([np.iinfo(np.int64).max])
        second = self.node("Slice", x, half, last, axis, step)
        turned = self.node("Concat", self.node("Neg", second), first, axis=-1)
        return self.node(
            "Add", self.node("Mul", x, cos), self.node("Mul", turned, sin)
        )

    def repeat(self, x):
        """Every head as often as heads of queries share it."""
        batch, length = self.size(x, 0), self.size(x, 2)
        group = HEADS // KV_HEADS
        shape = self.shape(batch, KV_HEADS, group, length, HEAD_SIZE)
        x = self.expand(self.unsqueeze(x, 2), shape)
        return self.node("Reshape", x, self.shape(batch, HEADS, length, HEAD_SIZE))


def tokenizer():
    """Without merges and pre-tokenizer, every character is a token."""
    ids = {token: i for i, token in enumerate(roman.VOCABULARY)}
    begin = roman.SPECIAL[roman.BEGIN]
    first = {"SpecialToken": {"id": begin, "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": ids[token],
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token in roman.SPECIAL
        ],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [first, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [
                first,
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {
                begin: {"id": begin, "ids": [ids[begin]], "tokens": [begin]}
            },
        },
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": roman.SPECIAL[roman.UNKNOWN],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": ids,
            "merges": [],
        },
    }


def no_past(batch):
    """The cache before the first token."""
    empty = np.zeros((batch, KV_HEADS, 0, HEAD_SIZE), np.float32)
    return {
        f"past_key_values.{i}.{kind}": empty
        for i in range(LAYERS)
        for kind in ("key", "value")
    }


def generate(run, prompts, mask=None, limit=20):
    """The texts that a model continues prompts with, always with the likeliest
    token. Prompts are of one length, padded on the left where `mask` has zeros;
    `run` takes and returns {name: array}."""
    ids = np.array(prompts)
    mask = np.ones_like(ids) if mask is None else np.array(mask)
    past, written = no_past(len(ids)), np.zeros((len(ids), 0), np.int64)
    while written.shape[1] < limit and not (written == roman.END).any(1).all():
        positions = np.maximum(mask.cumsum(1) - 1, 0)[:, -ids.shape[1] :]
        outputs = run({
            "input_ids": ids, "attention_mask": mask, "position_ids": positions, **past
        })  # fmt: skip
        ids = outputs["logits"][:, -1:].argmax(-1)
        written = np.concatenate([written, ids], axis=1)
        mask = np.concatenate([mask, np.ones_like(ids)], axis=1)
        past = {name: outputs[name.replace("past_key_values", "present")] for name in past}
    return [
        roman.decode(row[: row.index(roman.END)] if roman.END in row else row)
        for row in written.tolist()
    ]


def prompt(number):
    return [roman.BEGIN, *roman.encode(f"{number}=")]


def wrong(run):
    """The numbers that a model does not write right, out of all."""
    result = []
    for low, high in ((1, 10), (10, 100), (100, 1000), (1000, roman.LARGEST + 1)):
        numbers = range(low, high)
        texts = generate(run, [prompt(number) for number in numbers])
        result += [n for n, text in zip(numbers, texts, strict=True)
                   if text != f"{roman.roman(n)}\n"]  # fmt: skip
    return result


def write(directory):
    """Writes the files; returns the model's path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "numerals.onnx"
    onnx.save(Numerals(np.load(WEIGHTS)).build(), path)
    text = json.dumps(tokenizer(), indent=2, ensure_ascii=False)
    (directory / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="where to write the files")
    mistakes = wrong(onnx_runtime(write(parser.parse_args().directory)))
    held_out = split(np.random.default_rng(SEED))[0] + 1
    unseen = 1 - np.isin(held_out, mistakes).mean()
    print(
        f"numerals.onnx: ONNX Runtime writes {1 - len(mistakes) / roman.LARGEST:.2%} of"
        f" 1 to {roman.LARGEST} right, {unseen:.2%} of the {len(held_out)} held out"
    )
    if mistakes:
        print("wrong:", *mistakes)


if __name__ == "__main__":
    main()
