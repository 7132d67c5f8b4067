# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A decoder of LLaMA's shape with random weights of 4 bits.

`write` makes it as the builder of onnxruntime-genai exports one for the CPU, with
nodes and initializers named as there: MatMulNBits of accuracy level 4, queries, keys
and values from one product, GroupQueryAttention with rotation and caches, RMS
normalization with the residual sum, embeddings in f32, all weights in a file beside.
llm_gguf.py writes the same for llama.cpp: scales are such that f16 has them.
"""

import zlib
from typing import NamedTuple

import numpy as np
from external import ExternalWeights
from onnx import TensorProto, helper, numpy_helper, save

MICROSOFT = "com.microsoft"
EPSILON = 1e-5
ROTATION = 10000.0


class Sizes(NamedTuple):
    layers: int = 16
    width: int = 2048
    heads: int = 32
    kv_heads: int = 8
    hidden: int = 8192
    vocabulary: int = 32000
    positions: int = 4096
    group: int = 32

    @property
    def depth(self):
        return self.width // self.heads

    @property
    def matrices(self):
        """{name: (outputs, inputs)}, without the embeddings."""
        shapes = {}
        for layer in range(self.layers):
            prefix = f"layers.{layer}"
            qkv = (self.heads + 2 * self.kv_heads) * self.depth
            shapes[f"{prefix}.attn.qkv_proj"] = qkv, self.width
            shapes[f"{prefix}.attn.o_proj"] = self.width, self.width
            shapes[f"{prefix}.mlp.gate_proj"] = self.hidden, self.width
            shapes[f"{prefix}.mlp.up_proj"] = self.hidden, self.width
            shapes[f"{prefix}.mlp.down_proj"] = self.width, self.hidden
        shapes["lm_head"] = self.vocabulary, self.width
        return shapes

    @property
    def parameters(self):
        """That every token is multiplied with."""
        return sum(n * k for n, k in self.matrices.values())

    @property
    def matrix_bytes(self):
        """Codes and scales of those, in the ONNX file."""
        return sum(n * k // 2 + 4 * n * k // self.group for n, k in self.matrices.values())


TINY = Sizes(layers=2, width=64, heads=4, kv_heads=2, hidden=128, vocabulary=96, positions=64)


def random(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def matrix(sizes, name):
    """(codes, scales), two codes to a byte, the first one in the low bits; 8 is 0."""
    n, k = sizes.matrices[name]
    codes = random(name).integers(0, 256, (n, k // sizes.group, sizes.group // 2), np.uint8)
    scales = random(f"{name}.scales").random(codes.shape[:2], np.float32)
    scales = (scales * 0.2 + 0.9) * np.float32(0.3 / k**0.5)
    return codes, scales.astype(np.float16).astype(np.float32)


def norm(sizes, name):
    values = random(name).standard_normal(sizes.width, np.float32)
    return np.float32(1) + values * np.float32(0.05)


def embeddings(sizes):
    shape = sizes.vocabulary, sizes.width
    return random("embed_tokens").standard_normal(shape, np.float32) * np.float32(0.02)


def rotations(sizes):
    frequencies = ROTATION ** (-np.arange(0, sizes.depth, 2) / sizes.depth)
    angles = np.arange(sizes.positions)[:, None] * frequencies
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


class Exporter:
    """The nodes of the graph, each named after what it makes."""

    def __init__(self, sizes, external):
        self.sizes, self.external = sizes, external
        self.nodes, self.small, self.inputs, self.outputs = [], [], [], []

    def add(self, op, name, inputs, domain="", outputs=None, **attributes):
        outputs = outputs or [f"{name}/output_0"]
        self.nodes.append(
            helper.make_node(op, inputs, outputs, name=name, domain=domain, **attributes)
        )
        return outputs[0]

    def constant(self, value):
        name = f"/model/constants/INT64/{value}"
        if all(tensor.name != name for tensor in self.small):
            self.small.append(numpy_helper.from_array(np.array(value), name))
        return name

    def value(self, side, name, shape, kind=TensorProto.FLOAT):
        side.append(helper.make_tensor_value_info(name, kind, shape))

    def linear(self, x, name, output=None):
        sizes, (n, k) = self.sizes, self.sizes.matrices[name]
        path = f"/{name}" if name == "lm_head" else f"/model/{name.replace('.', '/')}"
        path = path.replace("layers/", "layers.")
        weights = "lm_head" if name == "lm_head" else f"model.{name}"
        names = [
            self.external.add(f"{weights}.MatMul.{kind}", array)
            for kind, array in zip(("weight_Q4", "weight_scales"), matrix(sizes, name))
        ]
        return self.add("MatMulNBits", f"{path}/MatMul_Q4", [x, *names], MICROSOFT,
                        output and [output], K=k, N=n, bits=4, block_size=sizes.group,
                        accuracy_level=4)  # fmt: skip

    def norm(self, name, x, residual=None):
        """Normalized, and the sum of x and the residual."""
        weight = self.external.add(f"model.{name}.weight", norm(self.sizes, name))
        if residual is None:
            path = f"/model/{name}/LayerNorm"
            return self.add("SimplifiedLayerNormalization", path, [x, weight], axis=-1,
                            epsilon=EPSILON, stash_type=1), x  # fmt: skip
        path = f"/model/{name}/SkipLayerNorm"
        outputs = [f"{path}/output_0", "", "", f"{path}/output_3"]
        self.add("SkipSimplifiedLayerNormalization", path, [x, residual, weight], MICROSOFT,
                 outputs, epsilon=EPSILON)  # fmt: skip
        return outputs[0], outputs[3]

    def lengths(self):
        """What GroupQueryAttention wants to know of the mask."""
        path = "/model/attn_mask_reformat/attn_mask_subgraph"
        mask = "attention_mask"
        each = self.add("ReduceSum", f"{path}/ReduceSum", [mask, self.constant([1])], keepdims=0)
        last = self.add("Sub", f"{path}/Sub", [each, self.constant([1])])
        shape = self.add("Shape", f"{path}/Shape", [mask])
        total = self.add("Gather", f"{path}/Gather", [shape, self.constant(1)], axis=0)
        return [
            self.add("Cast", f"{path}/{name}/Cast", [x], to=TensorProto.INT32)
            for name, x in (("Sub", last), ("Gather", total))
        ]

    def attention(self, layer, x, lengths):
        sizes, cache = self.sizes, []
        for name in ("key", "value"):
            self.value(self.inputs, f"past_key_values.{layer}.{name}",
                       ["batch_size", sizes.kv_heads, "past_sequence_length", sizes.depth])  # fmt: skip
            self.value(self.outputs, f"present.{layer}.{name}",
                       ["batch_size", sizes.kv_heads, "total_sequence_length", sizes.depth])  # fmt: skip
            cache.append(f"past_key_values.{layer}.{name}")
        path = f"/model/layers.{layer}/attn/GroupQueryAttention"
        outputs = [f"{path}/output_0", f"present.{layer}.key", f"present.{layer}.value"]
        qkv = self.linear(x, f"layers.{layer}.attn.qkv_proj")
        return self.add(
            "GroupQueryAttention", path,
            [qkv, "", "", *cache, *lengths, "cos_cache", "sin_cache", "", ""], MICROSOFT,
            outputs, num_heads=sizes.heads, kv_num_heads=sizes.kv_heads,
            scale=sizes.depth**-0.5, local_window_size=-1, softcap=0.0, do_rotary=1,
            rotary_interleaved=0,
        )  # fmt: skip

    def mlp(self, layer, x):
        name, path = f"layers.{layer}.mlp", f"/model/layers.{layer}/mlp"
        gate, up = (self.linear(x, f"{name}.{each}_proj") for each in ("gate", "up"))
        share = self.add("Sigmoid", f"{path}/act_fn/Sigmoid", [gate])
        gate = self.add("Mul", f"{path}/act_fn/Mul", [gate, share])
        return self.linear(self.add("Mul", f"{path}/Mul", [gate, up]), f"{name}.down_proj")

    def decoder(self):
        sizes = self.sizes
        sequence = ["batch_size", "sequence_length"]
        self.value(self.inputs, "input_ids", sequence, TensorProto.INT64)
        self.value(self.inputs, "attention_mask", ["batch_size", "total_sequence_length"],
                   TensorProto.INT64)  # fmt: skip
        self.value(self.outputs, "logits", [*sequence, sizes.vocabulary])
        for name, array in zip(("cos_cache", "sin_cache"), rotations(sizes)):
            self.external.add(name, array)
        lengths = self.lengths()
        table = self.external.add("model.embed_tokens.weight", embeddings(sizes))
        x, added = self.add("Gather", "/model/embed_tokens/Gather", [table, "input_ids"]), None
        for layer in range(sizes.layers):
            name = f"layers.{layer}"
            y, x = self.norm(f"{name}.input_layernorm", x, added)
            y = self.linear(self.attention(layer, y, lengths), f"{name}.attn.o_proj")
            y, x = self.norm(f"{name}.post_attention_layernorm", x, y)
            added = self.mlp(layer, y)
        y, _ = self.norm(f"layers.{sizes.layers}.final_norm_layernorm", x, added)
        self.linear(y, "lm_head", "logits")


def write(path, sizes):
    """Writes path, and its weights beside it."""
    with ExternalWeights(path.with_name(path.name + ".data")) as external:
        graph = Exporter(sizes, external)
        graph.decoder()
    weights = external.tensors + graph.small
    graph = helper.make_graph(graph.nodes, "main_graph", graph.inputs, graph.outputs, weights)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
