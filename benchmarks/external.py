# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights in a file beside the model, as exporters of large models write them."""

from onnx import TensorProto, helper

ALIGNMENT = 4096


class ExternalWeights:
    """Appends to `path`; `tensors` are the initializers that tell where they lie."""

    def __init__(self, path):
        self.path, self.tensors = path, []
        self.file = open(path, "wb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def add(self, name, array):
        self.file.write(bytes(-self.file.tell() % ALIGNMENT))
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor = TensorProto(name=name, data_type=kind, dims=array.shape)
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": self.path.name, "offset": self.file.tell(), "length": array.nbytes}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self.file.write(array.tobytes())
        self.tensors.append(tensor)
        return name
