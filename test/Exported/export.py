#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exports families with one exporter: writes FAMILY.EXPORTER.onnx, and beside it
FAMILY.EXPORTER.npz with the inputs of each run, as "RUN/NAME".

Called by run.py, in a process of its own for each exporter; prints one line for
each family, its name and, where the exporter fails, what it said.
"""

import importlib
import inspect
import logging
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
from family import FAMILIES

MODULES = {
    "torchscript": ["torch_vision", "torch_language"],
    "dynamo": ["torch_vision", "torch_language"],
    "tf2onnx": ["keras_models"],
    "skl2onnx": ["sklearn_models"],
}
SEED = 0
OPSET = 18


def _example(family, network):
    """Arrays to export with: neither empty nor of size one where a size varies."""
    dims = {name: max(sizes) for name, sizes in family.runs.items()}
    random = np.random.default_rng(SEED)
    return [value.array(random, {**dims, "batch": 2}) for value in network.inputs]


def _prepared(family, network):
    """A module in inference mode, of which nothing is zeros and ones any more."""
    import torch
    from torch import nn

    # Inference otherwise calls operators that no exporter knows.
    torch.backends.mha.set_fastpath_enabled(False)
    for module in network.model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    for parameter in network.model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.2)
    arguments = tuple(map(torch.from_numpy, _example(family, network)))
    return network.model.eval(), arguments


def _axes(value):
    return {at: size for at, size in enumerate(value.shape) if isinstance(size, str)}


def torchscript(family, network, path):
    import torch

    model, arguments = _prepared(family, network)
    with torch.no_grad():
        torch.onnx.export(
            model, arguments, path, dynamo=False, opset_version=OPSET,
            input_names=[value.name for value in network.inputs], output_names=network.outputs,
            dynamic_axes={value.name: _axes(value) for value in network.inputs},
        )  # fmt: skip


def dynamo(family, network, path):
    import torch

    model, arguments = _prepared(family, network)
    shapes = tuple(
        {at: size.replace(" + ", "_plus_") for at, size in _axes(value).items()}
        for value in network.inputs
    )
    parameters = inspect.signature(model.forward).parameters.values()
    rest = sum(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    if rest:
        first = len(parameters) - rest
        shapes = (*shapes[:first], shapes[first:])
    with torch.no_grad():
        torch.onnx.export(
            model, arguments, path, dynamo=True, dynamic_shapes=shapes,
            input_names=[value.name for value in network.inputs], output_names=network.outputs,
        )  # fmt: skip


def tf2onnx(family, network, path):
    import tensorflow
    import tf2onnx

    random = np.random.default_rng(SEED)
    for weight in network.model.weights:
        if not np.any(weight):
            weight.assign(0.2 * random.standard_normal(weight.shape))
    model, types = network.model, {"f": tensorflow.float32, "i": tensorflow.int64}
    example = _example(family, network)
    signature = [
        tensorflow.TensorSpec([size if isinstance(size, int) else None for size in value.shape],
                              types[array.dtype.kind], name=value.name)
        for value, array in zip(network.inputs, example)
    ]  # fmt: skip
    function = tensorflow.function(lambda *arguments: model(list(arguments) if len(arguments) > 1 else arguments[0]),
                                   input_signature=signature)  # fmt: skip
    tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET, output_path=str(path))


def skl2onnx(family, network, path):
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.base import is_classifier
    from sklearn.svm import LinearSVC

    (value,) = network.inputs
    last = network.model[-1] if hasattr(network.model, "steps") else network.model
    has_map = is_classifier(last) and not isinstance(last, LinearSVC)
    options = {id(last): {"zipmap": False}} if has_map else None
    model = to_onnx(network.model, initial_types=[(value.name, FloatTensorType([None, value.shape[1]]))],
                    options=options, target_opset=OPSET)  # fmt: skip
    path.write_bytes(model.SerializeToString())


EXPORTERS = {
    "torchscript": torchscript,
    "dynamo": dynamo,
    "tf2onnx": tf2onnx,
    "skl2onnx": skl2onnx,
}


def quiet_stdout():
    """The stream of our lines; what exporters print goes nowhere from now on."""
    lines = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    return lines


def export(family, path):
    seed_everything()
    network = family.build()
    EXPORTERS[family.exporter](family, network, path)
    random = np.random.default_rng(SEED + 1)
    runs = {
        f"{run}/{value.name}": value.array(random, dims)
        for run, dims in enumerate(family.draws())
        for value in network.inputs
    }
    np.savez(path.with_suffix(".npz"), **runs)


def seed_everything():
    for library, seed in [("torch", "manual_seed"), ("keras.utils", "set_random_seed")]:
        if library in sys.modules:
            getattr(sys.modules[library], seed)(SEED)


def main(exporter, folder, *names):
    lines = quiet_stdout()
    for module in MODULES[exporter]:
        importlib.import_module(module)
    for family in FAMILIES:
        if family.exporter != exporter or (names and family.name not in names):
            continue
        path, failure = Path(folder) / f"{family.name}.{exporter}.onnx", ""
        if not path.with_suffix(".npz").exists():
            try:
                export(family, path)
            except Exception as error:
                # What the exporter met, rather than what it advises.
                error = error.__cause__ or error
                failure = f"{type(error).__name__}: {error}"
        print(family.name, " ".join(failure.split())[:300], file=lines, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
