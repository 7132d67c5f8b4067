# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The decoder of llm_model.py as Lutra, ONNX Runtime and llama.cpp run it.

Each keeps its cache; `run(ids, past)` forgets all but the first `past` tokens, adds
some, and gives the logits of the last one.
"""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import llama_cpp
import lutra
import numpy as np
import onnxruntime
from harness import onnx_runtime

STATE = "past_key_values.*:present.*:max={}"


class Lutra:
    NAME = "Lutra"

    def __init__(self, files, sizes, capacity, threads):
        self.model = lutra.load(files.artifact, threads=threads)
        self.state = self.model.state()

    def run(self, ids, past):
        if past == 0:
            self.state.reset()
        else:
            self.state.truncate(past)
        mask = np.ones((1, past + ids.size), np.int64)
        inputs = {"input_ids": ids.reshape(1, -1), "attention_mask": mask}
        return self.model(inputs, state=self.state)["logits"][0, -1]


class OnnxRuntime:
    """Past and present are one buffer."""

    NAME = "ONNX Runtime"

    def __init__(self, files, sizes, capacity, threads):
        self.session = onnx_runtime(files.onnx, threads)
        shape = 1, sizes.kv_heads, capacity, sizes.depth
        self.caches = {
            value.name: onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))
            for value in self.session.get_inputs() if value.name.startswith("past")
        }  # fmt: skip
        self.vocabulary = sizes.vocabulary
        self.logits = {}

    def run(self, ids, past):
        binding = self.session.io_binding()
        binding.bind_cpu_input("input_ids", ids.reshape(1, -1))
        binding.bind_cpu_input("attention_mask", np.ones((1, past + ids.size), np.int64))
        for name, cache in self.caches.items():
            binding.bind_ortvalue_input(name, cache)
            binding.bind_ortvalue_output(name.replace("past_key_values", "present"), cache)
        shape = 1, ids.size, self.vocabulary
        logits = self.logits.setdefault(shape, np.empty(shape, np.float32))
        binding.bind_output("logits", "cpu", 0, logits.dtype, shape, logits.ctypes.data)
        self.session.run_with_iobinding(binding)
        return logits[0, -1]


class LlamaCpp:
    """It computes logits of the last token only, as it does by itself. It says once a
    thread how AMX's tiles are shaped, and others in the thread say otherwise; so it has
    a thread of its own."""

    NAME = "llama.cpp"

    def __init__(self, files, sizes, capacity, threads):
        pointer, number = ctypes.c_void_p, ctypes.c_int
        function = llama_cpp.function
        load = function("decoder_load", pointer, ctypes.c_char_p)
        start = function("decoder_start", pointer, pointer, number, number)
        floats = ctypes.POINTER(ctypes.c_float)
        self.compute = function("decoder_run", floats, pointer, pointer, number, number)
        self.free = function("decoder_free", None, pointer, pointer)
        self.vocabulary = sizes.vocabulary
        self.thread = ThreadPoolExecutor(1)
        self.model = load(str(files.gguf).encode())
        self.context = self.model and start(self.model, capacity, threads)
        if not self.context:
            raise RuntimeError(f"llama.cpp cannot read {files.gguf}")

    def __del__(self):
        if self.context:
            self.free(self.context, self.model)

    def run(self, ids, past):
        ids = ids.astype(np.int32)
        tokens = llama_cpp.address(ids)
        done = self.thread.submit(self.compute, self.context, tokens, ids.size, past)
        logits = done.result()
        if not logits:
            raise RuntimeError("llama.cpp gave no logits")
        return np.ctypeslib.as_array(logits, (self.vocabulary,)).copy()


RUNNERS = {each.NAME: each for each in (Lutra, OnnxRuntime, LlamaCpp)}
