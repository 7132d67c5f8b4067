#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A model of BERT-base's shape beside ONNX Runtime, and its kernels.

    .venv/bin/python benchmarks/bert.py [--folder DIR] [--layers 12] [--threads 1 2]

Weights are random. The nodes are those that torch exports at operator set 17:
linear layers as MatMul and Add, heads by Reshape with sizes from Shape,
LayerNormalization, Gelu by Erf; batch and sequence are dynamic. The model goes into
DIR (default: a temporary folder), and is made again if it is not there.
"""

import argparse
import math
import os
import tempfile
from pathlib import Path

import lutra
import numpy as np
import onnx
from graph import Graph
from harness import median, onnx_runtime, take_turns
from onnx import TensorProto, helper

VOCABULARY = 30522
POSITIONS = 512


def attention(graph, x, mask, name, width, heads):
    depth = width // heads
    split = graph.shape(x, f"{name}/split", heads, depth)

    def project(which, order):
        y = graph.linear(x, f"{name}/{which}", width, width)
        y = graph.add("Reshape", [y, split], f"{name}/{which}/Reshape")
        return graph.add("Transpose", [y], f"{name}/{which}/Transpose", perm=order)

    query = project("query", [0, 2, 1, 3])
    key = project("key", [0, 2, 3, 1])
    value = project("value", [0, 2, 1, 3])
    scores = graph.add("MatMul", [query, key], f"{name}/MatMul")
    scores = graph.add("Div", [scores, graph.scalar(math.sqrt(depth))], f"{name}/Div")
    scores = graph.add("Add", [scores, mask], f"{name}/Add")
    shares = graph.add("Softmax", [scores], f"{name}/Softmax", axis=-1)
    mixed = graph.add("MatMul", [shares, value], f"{name}/MatMul_1")
    mixed = graph.add("Transpose", [mixed], f"{name}/Transpose", perm=[0, 2, 1, 3])
    joined = graph.shape(x, f"{name}/join", width)
    return graph.add("Reshape", [mixed, joined], f"{name}/Reshape")


def encoder_layer(graph, x, mask, name, width, heads, intermediate):
    mixed = attention(graph, x, mask, f"{name}/attention/self", width, heads)
    y = graph.linear(mixed, f"{name}/attention/output/dense", width, width)
    y = graph.add("Add", [y, x], f"{name}/attention/output/Add")
    x = graph.layer_norm(y, f"{name}/attention/output/LayerNorm", width)
    y = graph.linear(x, f"{name}/intermediate/dense", width, intermediate)
    y = graph.gelu(y, f"{name}/intermediate/act")
    y = graph.linear(y, f"{name}/output/dense", intermediate, width)
    y = graph.add("Add", [y, x], f"{name}/output/Add")
    return graph.layer_norm(y, f"{name}/output/LayerNorm", width)


def embeddings(graph, ids, types, width):
    words = graph.weight("embeddings.word.weight", VOCABULARY, width)
    kinds = graph.weight("embeddings.type.weight", 2, width)
    places = graph.weight("embeddings.position.weight", 1, POSITIONS, width)
    word = graph.add("Gather", [words, ids], "embeddings/word/Gather")
    kind = graph.add("Gather", [kinds, types], "embeddings/type/Gather")
    x = graph.add("Add", [word, kind], "embeddings/Add")
    length = graph.size(ids, 1, "embeddings/length")
    place = graph.add("Slice", [places, graph.index(0), length, graph.index(1)],
                      "embeddings/Slice")  # fmt: skip
    x = graph.add("Add", [x, place], "embeddings/Add_1")
    return graph.layer_norm(x, "embeddings/LayerNorm", width)


def attention_mask(graph, mask):
    """0 for what may be attended to, and the least float for the rest."""
    mask = graph.add("Unsqueeze", [mask, graph.index(1, 2)], "mask/Unsqueeze")
    mask = graph.add("Cast", [mask], "mask/Cast", to=TensorProto.FLOAT)
    mask = graph.add("Sub", [graph.scalar(1), mask], "mask/Sub")
    lowest = graph.scalar(float(np.finfo(np.float32).min))
    return graph.add("Mul", [mask, lowest], "mask/Mul")


def make_model(layers, width, heads, intermediate):
    graph = Graph()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
              for name in names]  # fmt: skip
    mask = attention_mask(graph, "attention_mask")
    x = embeddings(graph, "input_ids", "token_type_ids", width)
    for layer in range(layers):
        x = encoder_layer(graph, x, mask, f"encoder/layer.{layer}", width, heads, intermediate)
    graph.nodes.append(helper.make_node("Identity", [x], ["last_hidden_state"]))
    output = helper.make_tensor_value_info(
        "last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", width]
    )
    model = helper.make_model(
        helper.make_graph(graph.nodes, "bert", inputs, [output], graph.weights),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 8
    return model


def make_inputs(batch, sequence):
    random = np.random.default_rng(2)
    mask = np.ones((batch, sequence), np.int64)
    mask[:, sequence - sequence // 4 :] = 0
    return {
        "input_ids": random.integers(0, VOCABULARY, (batch, sequence)),
        "attention_mask": mask,
        "token_type_ids": random.integers(0, 2, (batch, sequence)),
    }


def measure(path, artifact, threads, inputs, options):
    ours = lutra.load(artifact, threads=threads)
    theirs = onnx_runtime(path, threads)
    (expected,) = theirs.run(None, inputs)
    np.testing.assert_allclose(
        ours(inputs)["last_hidden_state"], expected, options.tolerance, options.tolerance
    )
    seconds = take_turns(
        {"Lutra": lambda: ours(inputs), "ONNX Runtime": lambda: theirs.run(None, inputs)},
        options.rounds,
    )
    lutra_time, their_time = (median(times) * 1e3 for times in seconds.values())
    print(
        f"{threads:7} {lutra_time:11.1f} {their_time:11.1f} {their_time / lutra_time:8.2f}",
        flush=True,
    )


def run(folder, options):
    path, artifact = folder / f"bert{options.layers}.onnx", folder / "bert.so"
    if not path.exists():
        onnx.save(make_model(options.layers, 768, 12, 3072), path)
    # There are positions for no longer sequences.
    lutra.compile(path, artifact, mcpu="native", dim={"sequence": (1, POSITIONS)},
                  report=f"kernels:{folder / 'kernels.txt'}")  # fmt: skip
    print((folder / "kernels.txt").read_text())
    print(f"threads  Lutra (ms)    ORT (ms)  speedup   batch {options.batch}, "
          f"sequence {options.sequence}")  # fmt: skip
    inputs = make_inputs(options.batch, options.sequence)
    for threads in options.threads:
        measure(path, artifact, threads, inputs, options)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--sequence", type=int, default=128)
    parser.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, os.cpu_count()})
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    options = parser.parse_args()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        return run(options.folder, options)
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), options)


if __name__ == "__main__":
    main()
