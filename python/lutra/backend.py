# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lutra as an onnx.backend.

    import lutra.backend

    rep = lutra.backend.prepare(onnx.load("model.onnx"))
    outputs = rep.run(inputs)
"""

import numpy as np
import onnx
from onnx.backend import base

import lutra


class BackendRep(base.BackendRep):
    """A compiled model behind ONNX's interface."""

    def __init__(self, model):
        self.model = model

    def run(self, inputs, **kwargs):
        """Takes a list of arrays or {name: array}; returns a tuple of arrays."""
        arrays = [inputs] if isinstance(inputs, dict) else inputs
        return tuple(self.model(*arrays).values())


class Backend(base.Backend):
    @classmethod
    def is_compatible(cls, model, device="CPU", **kwargs):
        try:
            return cls.supports_device(device) and not lutra.check(model)
        except lutra.CompileError:
            return False

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        """Further arguments are lutra.compile's."""
        if not cls.supports_device(device):
            raise ValueError(f"expected device 'CPU', got '{device}'")
        super().prepare(model, device)
        return BackendRep(lutra.compile(model, **kwargs))

    @classmethod
    def run_model(cls, model, inputs, device="CPU", **kwargs):
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node, inputs, device="CPU", outputs_info=None, **kwargs):
        super().run_node(node, inputs, device, outputs_info, **kwargs)
        version = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        return cls.run_model(_single_node_model(node, inputs, version), inputs, device)

    @classmethod
    def supports_device(cls, device):
        return device.split(":")[0] == "CPU"


def _single_node_model(node, inputs, version):
    names = [name for name in node.input if name]
    values = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in zip(names, map(np.asarray, inputs))
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    graph = onnx.helper.make_graph([node], "node", values, outputs)
    opset = onnx.helper.make_opsetid(node.domain, version)
    model = onnx.helper.make_model(graph, opset_imports=[opset])
    return onnx.shape_inference.infer_shapes(model)


is_compatible = Backend.is_compatible
prepare = Backend.prepare
run_model = Backend.run_model
run_node = Backend.run_node
supports_device = Backend.supports_device
