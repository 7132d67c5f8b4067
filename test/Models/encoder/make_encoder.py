#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes a small text encoder: it says whether a text is a Roman numeral of an
odd number, of an even one, or none.

train.py describes and trains it. Here it becomes a graph as Hugging Face's
optimum exports a BERT for classification, whose pooling is the mean:

    input_ids int64 [batch_size, sequence_length]
    attention_mask int64 [batch_size, sequence_length]
    logits float32 [batch_size, 3]: no numeral, odd, even

Written into the output folder: encoder.onnx. Its tokenizer is that of the other
sample, make_numerals.py, with "</s>" as the last token of a text.
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from exporter import F32, I64, Graph, onnx_runtime  # noqa: E402
from encoder.train import (  # noqa: E402
    CLASSES, EPSILON, HEAD_SIZE, HEADS, HIDDEN, LAYERS, NUMERALS, POSITIONS, WEIGHTS,
    held_out_texts, right,
)  # fmt: skip

BATCH, LENGTH = "batch_size", "sequence_length"


class Encoder(Graph):
    def __init__(self, weights):
        super().__init__("encoder")
        self.weights = weights

    def build(self):
        ids = self.input("input_ids", I64, [BATCH, LENGTH])
        mask = self.input("attention_mask", I64, [BATCH, LENGTH])
        with self.scope("embeddings"):
            x = self.embeddings(ids)
        padding = self.padding_mask(mask)
        with self.scope("encoder"):
            for i in range(LAYERS):
                with self.scope(f"layer.{i}"):
                    x = self.layer(x, f"encoder.layer.{i}", padding)
        with self.scope("pooler"):
            x = self.mean_of_tokens(x, mask)
        weight = self.weight("classifier.weight", self.weights["classifier.weight"].T)
        bias = self.weight("classifier.bias", self.weights["classifier.bias"])
        x = self.node("Gemm", x, weight, bias, transB=1)
        self.output("logits", x, [BATCH, len(CLASSES)])
        return self.model()

    def embeddings(self, ids):
        words, places = (
            self.weight(name, self.weights[name])
            for name in ("embeddings.word_embeddings", "embeddings.position_embeddings")
        )
        positions = self.node(
            "Slice", self.constant([range(POSITIONS)]), self.constant([0]),
            self.unsqueeze(self.size(ids, 1), 0), self.constant([1]), self.constant([1]),
        )  # fmt: skip
        words = self.node("Gather", words, ids)
        x = self.node("Add", words, self.node("Gather", places, positions))
        return self.norm(x, "embeddings.LayerNorm")

    def padding_mask(self, mask):
        """What is added to scores: nothing, or what leaves padding nothing."""
        mask = self.node("Cast", self.unsqueeze(mask, 1, 2), to=F32)
        padding = self.node("Sub", self.number(1), mask)
        return self.node("Mul", padding, self.number(np.finfo(np.float32).min))

    def norm(self, x, name):
        with self.scope("LayerNorm"):
            x = self.node("Sub", x, self.mean(x))
            variance = self.mean(self.node("Pow", x, self.number(2)))
            spread = self.node("Add", variance, self.number(EPSILON))
            x = self.node("Div", x, self.node("Sqrt", spread))
            weight, bias = (
                self.weight(f"{name}.{kind}", self.weights[f"{name}.{kind}"])
                for kind in ("weight", "bias")
            )
            return self.node("Add", self.node("Mul", x, weight), bias)

    def dense(self, x, name):
        weight, bias = (self.weights[f"{name}.{kind}"] for kind in ("weight", "bias"))
        return self.linear(x, name, weight, bias)

    def layer(self, x, name, padding):
        with self.scope("attention"):
            y = self.attention(x, f"{name}.attention", padding)
            x = self.norm(self.node("Add", y, x), f"{name}.attention.output.LayerNorm")
        with self.scope("intermediate"):
            y = self.gelu(self.dense(x, f"{name}.intermediate.dense"))
        with self.scope("output"):
            y = self.dense(y, f"{name}.output.dense")
            return self.norm(self.node("Add", y, x), f"{name}.output.LayerNorm")

    def attention(self, x, name, padding):
        batch, length = self.size(x, 0), self.size(x, 1)
        with self.scope("self"):
            q, k, v = (
                self.split_heads(
                    self.dense(x, f"{name}.self.{kind}"), batch, length, HEADS, HEAD_SIZE
                )
                for kind in ("query", "key", "value")
            )
            scores = self.node("MatMul", q, self.node("Transpose", k, perm=[0, 1, 3, 2]))
            scores = self.node("Div", scores, self.number(math.sqrt(HEAD_SIZE)))
            scores = self.node("Add", scores, padding)
            y = self.node("MatMul", self.node("Softmax", scores, axis=-1), v)
            y = self.join_heads(y, batch, length, HIDDEN)
        with self.scope("output"):
            return self.dense(y, f"{name}.output.dense")

    def gelu(self, x):
        erf = self.node("Erf", self.node("Div", x, self.number(math.sqrt(2))))
        y = self.node("Mul", x, self.node("Add", erf, self.number(1)))
        return self.node("Mul", y, self.number(0.5))

    def mean_of_tokens(self, x, mask):
        mask = self.node("Expand", self.unsqueeze(mask, 2), self.node("Shape", x))
        mask = self.node("Cast", mask, to=F32)
        axis = self.constant([1])
        total = self.node("ReduceSum", self.node("Mul", x, mask), axis, keepdims=0)
        count = self.node("ReduceSum", mask, axis, keepdims=0)
        return self.node("Div", total, self.node("Clip", count, self.number(1e-9)))


def write(directory):
    """Writes the file; returns its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "encoder.onnx"
    onnx.save(Encoder(np.load(WEIGHTS)).build(), path)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="where to write the files")
    session = onnx_runtime(write(parser.parse_args().directory))

    def run(ids, mask):
        return session({"input_ids": ids, "attention_mask": mask})["logits"]

    numerals, others = held_out_texts()
    print(
        f"encoder.onnx: ONNX Runtime is right about {right(run, list(NUMERALS)).mean():.2%}"
        f" of all numerals, {right(run, numerals).mean():.2%} of those held out,"
        f" {right(run, others).mean():.2%} of texts that are none"
    )


if __name__ == "__main__":
    main()
