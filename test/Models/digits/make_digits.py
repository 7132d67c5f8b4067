#!/usr/bin/env python3
# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains the sample: a classifier of handwritten digits, as an ONNX file.

The data is scikit-learn's own (1,797 scans of 8 x 8 pixels), the classifier is
its MLPClassifier, and skl2onnx exports it. The perceptron does not look at
pixels but at edges: a convolution with eight fixed oriented filters, Relu and
2 x 2 max pooling, which scikit-learn has no layer for and which are therefore
put in front of the exported graph here.

    image float32 [batch, 1, 8, 8], 0 is paper and 1 is ink
    scores float32 [batch, 10], the probability of each digit

Written into the output folder:

    digits.onnx  the model
    digits.npz   images, labels, predictions (scikit-learn's), scores (ONNX
                 Runtime's), of the quarter of the data that training never saw
    image.npy    the first of those images, as lutra-run reads it
    images.f32   all those images as raw float32, as the C examples read them
    labels.u8    their labels, a byte each
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper
from onnx.utils import Extractor
from scipy.ndimage import correlate
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

OPSET = 18
SEED = 7


def edge_filters():
    """Eight 3 x 3 filters, each the derivative in another direction."""
    y, x = np.mgrid[-1:2, -1:2]
    smooth = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 8
    angles = np.arange(8) * np.pi / 4
    return np.array(
        [smooth * (np.cos(a) * x + np.sin(a) * y) for a in angles], np.float32
    )


def edges(images):
    """What the convolution computes, in numpy: [n, 8, 8] to [n, 8 * 4 * 4]."""
    maps = np.stack(
        [correlate(images, f[None], mode="constant") for f in edge_filters()], axis=1
    )
    pooled = np.maximum(maps, 0).reshape(-1, 8, 4, 2, 4, 2).max(axis=(3, 5))
    return pooled.reshape(len(images), -1).astype(np.float32)


def edges_graph():
    """The same as an ONNX model, `image` to `features`."""
    weight = numpy_helper.from_array(edge_filters()[:, None], "edges.weight")
    nodes = [
        helper.make_node(
            "Conv", ["image", "edges.weight"], ["edges"], "edges", pads=[1, 1, 1, 1]
        ),
        helper.make_node("Relu", ["edges"], ["edges.relu"], "edges.relu"),
        helper.make_node(
            "MaxPool",
            ["edges.relu"],
            ["edges.pool"],
            "edges.pool",
            kernel_shape=[2, 2],
            strides=[2, 2],
        ),
        helper.make_node("Flatten", ["edges.pool"], ["features"], "flatten"),
    ]
    image = helper.make_tensor_value_info(
        "image", TensorProto.FLOAT, ["batch", 1, 8, 8]
    )
    features = helper.make_tensor_value_info(
        "features", TensorProto.FLOAT, ["batch", 8 * 4 * 4]
    )
    graph = helper.make_graph(nodes, "edges", [image], [features], [weight])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8
    )


def export(classifier):
    """The classifier behind the edges, as one model."""
    example = np.zeros((1, classifier.n_features_in_), np.float32)
    head = to_onnx(
        classifier,
        example,
        name="digits",
        options={"zipmap": False},
        target_opset=OPSET,
    )
    # Labels come from ai.onnx.ml operators; who wants one takes the maximum.
    features = head.graph.input[0].name
    head = Extractor(head).extract_model([features], ["probabilities"])
    body = edges_graph()
    # Both halves must agree in what they import before they can be merged.
    del body.opset_import[:]
    body.opset_import.extend(head.opset_import)
    model = compose.merge_models(
        body, head, io_map=[("features", features)], name="digits"
    )
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    for node in model.graph.node:
        for i, name in enumerate(node.output):
            if name == "probabilities":
                node.output[i] = "scores"
    del model.graph.output[:]
    model.graph.output.append(
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 10])
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def train():
    """A trained classifier and the held-out images and labels."""
    data = load_digits()
    images = (data.images / 16).astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        images, data.target, test_size=0.25, stratify=data.target, random_state=SEED
    )
    classifier = MLPClassifier(
        (64, 32), max_iter=200, learning_rate_init=2e-3, random_state=SEED
    )
    classifier.fit(edges(train_x), train_y)
    return classifier, test_x, test_y


def reference(model, images):
    """The scores that ONNX Runtime computes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["scores"], {"image": images})[0]


def write(directory):
    directory.mkdir(parents=True, exist_ok=True)
    classifier, images, labels = train()
    predictions = classifier.predict(edges(images)).astype(np.uint8)
    model = export(classifier)
    images = np.ascontiguousarray(images[:, None])
    labels = labels.astype(np.uint8)
    onnx.save(model, directory / "digits.onnx")
    np.savez(
        directory / "digits.npz",
        images=images,
        labels=labels,
        predictions=predictions,
        scores=reference(model, images),
    )
    np.save(directory / "image.npy", images[:1])
    images.tofile(directory / "images.f32")
    labels.tofile(directory / "labels.u8")
    return float(np.mean(predictions == labels)), len(labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="where to write the files")
    accuracy, count = write(parser.parse_args().directory)
    print(f"digits.onnx: scikit-learn reads {accuracy:.1%} of {count} held-out digits")


if __name__ == "__main__":
    main()
