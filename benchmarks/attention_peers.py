# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One attention as ONNX Runtime and PyTorch do it.

Functions here make one function for each copy of K and V, which returns
[1, heads, queries, depth].
"""

import math

import numpy as np
from attention_models import group_query, multi_head
from harness import onnx_runtime

try:
    import torch
except ImportError:
    torch = None


def joined(x):
    """[1, heads, queries, depth] as [1, queries, heads * depth]."""
    return np.ascontiguousarray(x.swapaxes(1, 2)).reshape(1, x.shape[2], -1)


def onnx_runtime_run(case, session, inputs, caches=()):
    """`inputs` are bound to the session, and so are caches, as what a run reads as
    well as what it writes."""
    binding = session.io_binding()
    output = np.empty((1, case.queries, case.heads * case.depth), np.float32)
    for name, array in inputs.items():
        binding.bind_cpu_input(name, array)
    for name, array in [("y", output), *caches]:
        binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run():
        session.run_with_iobinding(binding)
        heads = output.reshape(1, case.queries, case.heads, case.depth)
        return heads.swapaxes(1, 2)

    run.arrays = inputs, caches
    return run


def group_query_runs(case, data, folder, threads):
    path = folder / "group_query.onnx"
    path.write_bytes(group_query(case).SerializeToString())
    session = onnx_runtime(path, threads)
    runs = []
    for k, v in data.caches["f32"]:
        inputs = {"q": joined(data.q["f32"]), "past_k": k, "past_v": v,
                  "k": joined(k[:, :, case.keys - case.queries :]),
                  "v": joined(v[:, :, case.keys - case.queries :]),
                  "last": np.array([case.keys - 1], np.int32),
                  "total": np.array([case.keys], np.int32)}  # fmt: skip
        caches = ("present_k", k), ("present_v", v)
        runs.append(onnx_runtime_run(case, session, inputs, caches))
    return runs


def multi_head_runs(case, data, folder, threads):
    path = folder / "multi_head.onnx"
    path.write_bytes(multi_head(case).SerializeToString())
    session = onnx_runtime(path, threads)
    q, (k, v) = joined(data.q["f32"]), data.caches["f32"][0]
    inputs = {"q": q, "k": joined(k), "v": joined(v)}
    return [onnx_runtime_run(case, session, inputs)]


def torch_runs(case, data, kind):
    types = {"f32": torch.float32, "bf16": torch.bfloat16}

    def tensor(array):
        if kind == "bf16":
            return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
        return torch.from_numpy(array)

    options = {"enable_gqa": case.group > 1}
    if case.causal and case.queries == case.keys:
        options["is_causal"] = True
    elif case.causal:
        # Its own flag would hide the last keys from the last query.
        past = case.keys - case.queries
        hidden = torch.full((case.queries, case.keys), -math.inf).triu(past + 1)
        options["attn_mask"] = hidden.to(types[kind])
    q = tensor(data.q[kind])

    @torch.inference_mode()
    def run(k, v):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, **options)

    return [lambda k=tensor(k), v=tensor(v): run(k, v) for k, v in data.caches[kind]]


def peers(case, data, folder, threads, few_queries):
    """{(peer, way): runs}"""
    ways = {("ONNX Runtime", "GQA"): group_query_runs(case, data, folder, threads)}
    if case.group == 1 and not case.causal and case.queries > few_queries:
        ways["ONNX Runtime", "MHA"] = multi_head_runs(case, data, folder, threads)
    if torch:
        torch.set_num_threads(threads)
        for kind in sorted({"f32", case.type}):
            ways["PyTorch", kind] = torch_runs(case, data, kind)
    return ways


def as_array(output):
    """As NumPy has it, whoever made it."""
    return output.float().numpy() if torch and torch.is_tensor(output) else output
