# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The decoder of llm_model.py as a file that llama.cpp reads, matrices as Q4_0."""

import struct

import numpy as np
from llm_model import EPSILON, ROTATION, embeddings, matrix, norm

VERSION, ALIGNMENT = 3, 32
F32, Q4_0 = 0, 2
# (bytes, elements) of a block.
BLOCKS = {F32: (4, 1), Q4_0: (18, 32)}
TAGS = {int: (4, "<I"), float: (6, "<f"), str: (8, None)}


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


class GgufWriter:
    """Facts are said at once, arrays are made one after the other while it writes."""

    def __init__(self, architecture, facts):
        self.facts = {"general.architecture": architecture, **facts}
        self.tensors = []

    def add(self, name, shape, make, kind=F32):
        """`make` gives the array, for which `shape` counts elements."""
        self.tensors.append((name, shape, make, kind))

    def write(self, path):
        with open(path, "wb") as file:
            file.write(b"GGUF" + struct.pack("<Iqq", VERSION, len(self.tensors), len(self.facts)))
            for name, value in self.facts.items():
                tag, form = TAGS[type(value)]
                packed = struct.pack(form, value) if form else text(value)
                file.write(text(name) + struct.pack("<I", tag) + packed)
            offset = 0
            for name, shape, _, kind in self.tensors:
                sizes = struct.pack(f"<I{len(shape)}q", len(shape), *reversed(shape))
                file.write(text(name) + sizes + struct.pack("<IQ", kind, offset))
                block, elements = BLOCKS[kind]
                size = block
                for each in shape:
                    size *= each
                offset += -(-size // elements // ALIGNMENT) * ALIGNMENT
            for _, _, make, _ in self.tensors:
                file.write(bytes(-file.tell() % ALIGNMENT))
                file.write(make().tobytes())


def interleaved(sizes, rows):
    """Rows of heads in which, as llama.cpp turns them, neighbours are pairs, and not
    each with the one that is half a head away."""
    heads = rows.reshape(-1, 2, sizes.depth // 2, *rows.shape[1:])
    return heads.swapaxes(1, 2).reshape(rows.shape)


def q4_0(codes, scales):
    """Blocks of a scale and 16 bytes, the first half of the codes in the low bits."""
    codes = np.stack([codes & 15, codes >> 4], -1).reshape(*codes.shape[:2], -1)
    codes = codes[..., :16] | codes[..., 16:] << 4
    blocks = np.concatenate([scales.astype(np.float16)[..., None].view(np.uint8), codes], -1)
    return np.ascontiguousarray(blocks).reshape(len(blocks), -1)


def write(path, sizes):
    gguf = GgufWriter("llama", {
        "llama.block_count": sizes.layers, "llama.context_length": sizes.positions,
        "llama.embedding_length": sizes.width, "llama.feed_forward_length": sizes.hidden,
        "llama.attention.head_count": sizes.heads,
        "llama.attention.head_count_kv": sizes.kv_heads,
        "llama.attention.layer_norm_rms_epsilon": EPSILON,
        "llama.rope.dimension_count": sizes.depth, "llama.rope.freq_base": ROTATION,
        "llama.vocab_size": sizes.vocabulary, "tokenizer.ggml.model": "no_vocab",
    })  # fmt: skip

    def linear(name, which, rows=slice(None), heads=False):
        def blocks():
            block = q4_0(*(array[rows] for array in matrix(sizes, which)))
            return interleaved(sizes, block) if heads else block

        n, k = sizes.matrices[which]
        gguf.add(name, (len(range(n)[rows]), k), blocks, Q4_0)

    def vector(name, which):
        gguf.add(name, (sizes.width,), lambda: norm(sizes, which))

    gguf.add("token_embd.weight", (sizes.vocabulary, sizes.width), lambda: embeddings(sizes))
    q = sizes.heads * sizes.depth
    k = q + sizes.kv_heads * sizes.depth
    for layer in range(sizes.layers):
        to, of = f"blk.{layer}", f"layers.{layer}"
        vector(f"{to}.attn_norm.weight", f"{of}.input_layernorm")
        vector(f"{to}.ffn_norm.weight", f"{of}.post_attention_layernorm")
        qkv = f"{of}.attn.qkv_proj"
        linear(f"{to}.attn_q.weight", qkv, slice(0, q), heads=True)
        linear(f"{to}.attn_k.weight", qkv, slice(q, k), heads=True)
        linear(f"{to}.attn_v.weight", qkv, slice(k, None))
        linear(f"{to}.attn_output.weight", f"{of}.attn.o_proj")
        for each in ("gate", "up", "down"):
            linear(f"{to}.ffn_{each}.weight", f"{of}.mlp.{each}_proj")
    vector("output_norm.weight", f"layers.{sizes.layers}.final_norm_layernorm")
    linear("output.weight", "lm_head")
    gguf.write(path)
