# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The operators of ai.onnx.ml beside ONNX Runtime."""

import lutra
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

FEATURES = 5


def model(op, inputs=("x",), outputs=("y",), dtype=TensorProto.FLOAT, version=3, **attributes):
    node = helper.make_node(op, inputs, outputs, op, domain="ai.onnx.ml", **attributes)
    values = [helper.make_tensor_value_info("x", dtype, ["n", FEATURES])]
    if "at" in inputs:
        values.append(helper.make_tensor_value_info("at", TensorProto.INT64, ["k"]))
    results = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph([node], "g", values, results)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", version)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def agree(proto, *more, x=None):
    if x is None:
        x = np.random.default_rng(2).standard_normal((37, FEATURES), np.float32)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    feed = dict(zip([value.name for value in session.get_inputs()], (x, *more)))
    compiled = lutra.compile(proto)
    actual = compiled(*feed.values())
    for value, expected in zip(session.get_outputs(), session.run(None, feed)):
        assert actual[value.name].dtype == expected.dtype
        np.testing.assert_allclose(actual[value.name], expected, 1e-4, 1e-5, err_msg=value.name)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).ravel().astype(np.float32)


@pytest.mark.parametrize("size", [1, FEATURES])
def test_scaler(size):
    agree(model("Scaler", offset=numbers(size), scale=numbers(size, seed=1)))


@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
def test_normalizer(norm):
    x = np.abs(np.random.default_rng(3).standard_normal((9, FEATURES), np.float32))
    x[4] = 0
    agree(model("Normalizer", norm=norm), x=x)


def test_binarizer():
    agree(model("Binarizer", threshold=0.25))


@pytest.mark.parametrize("replaced", [float("nan"), 1.0])
def test_imputer(replaced):
    x = np.random.default_rng(4).standard_normal((9, FEATURES), np.float32)
    x[2, 1] = x[5, 3] = replaced
    values = numbers(FEATURES)
    agree(model("Imputer", imputed_value_floats=values, replaced_value_float=replaced), x=x)


def test_imputer_of_integers():
    x = np.arange(3 * FEATURES, dtype=np.int64).reshape(3, FEATURES)
    proto = model("Imputer", dtype=TensorProto.INT64, imputed_value_int64s=[-1], replaced_value_int64=7)
    agree(proto, x=x)


def test_extractor():
    agree(model("ArrayFeatureExtractor", ("x", "at")), np.array([4, 0, 4]))


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC"])
@pytest.mark.parametrize("targets", [1, 3])
def test_linear_regressor(targets, transform):
    if targets == 1 and transform != "NONE":
        pytest.skip("ONNX Runtime does not transform one target")
    agree(model("LinearRegressor", coefficients=numbers(targets, FEATURES), targets=targets,
                intercepts=numbers(targets, seed=1), post_transform=transform))  # fmt: skip


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC"])
@pytest.mark.parametrize("classes", [2, 4])
def test_linear_classifier(classes, transform):
    agree(model("LinearClassifier", outputs=("label", "scores"), post_transform=transform,
                coefficients=numbers(classes, FEATURES), intercepts=numbers(classes, seed=1),
                classlabels_ints=[7, 3, 11, -2][:classes]))  # fmt: skip


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC"])
def test_binary_linear_classifier(transform):
    agree(model("LinearClassifier", outputs=("label", "scores"), post_transform=transform,
                coefficients=numbers(FEATURES), intercepts=[0.25], classlabels_ints=[7, 3]))  # fmt: skip


KERNELS = {"LINEAR": [0, 0, 0], "RBF": [0.3, 0, 0], "POLY": [0.2, 0.5, 3], "SIGMOID": [0.1, 0.2, 0]}


@pytest.mark.parametrize("kernel", KERNELS)
def test_support_vector_regressor(kernel):
    agree(model("SVMRegressor", kernel_type=kernel, kernel_params=list(map(float, KERNELS[kernel])),
                support_vectors=numbers(6, FEATURES), coefficients=numbers(6, seed=1),
                n_supports=6, rho=[0.25]))  # fmt: skip


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("perClass", [(3, 4), (2, 4, 3, 1)])
def test_support_vector_classifier(kernel, perClass):
    classes, count = len(perClass), sum(perClass)
    agree(model("SVMClassifier", outputs=("label", "scores"), kernel_type=kernel,
                kernel_params=list(map(float, KERNELS[kernel])), vectors_per_class=perClass,
                support_vectors=numbers(count, FEATURES), coefficients=numbers(classes - 1, count, seed=1),
                rho=numbers(classes * (classes - 1) // 2, seed=2),
                classlabels_ints=[5, 1, 9, 2][:classes]))  # fmt: skip


class Trees:
    """Random trees as attributes; the leaves hold weights of `targets`."""

    def __init__(self, prefix, targets, modes, low=-1.0, trees=7, depth=5):
        self.random, self.prefix, self.modes = np.random.default_rng(8), prefix, modes
        self.targets, self.low = targets, low
        self.nodes = {key: [] for key in ["treeids", "nodeids", "featureids", "values", "modes", "truenodeids",
                                          "falsenodeids", "missing_value_tracks_true"]}  # fmt: skip
        self.leaves = {key: [] for key in ["treeids", "nodeids", "ids", "weights"]}
        for tree in range(trees):
            self.next = 0
            self.grow(tree, depth)

    def grow(self, tree, depth):
        number, self.next = self.next, self.next + 1
        at = len(self.nodes["modes"])
        isLeaf = depth == 0 or (number and self.random.random() < 0.2)
        mode = "LEAF" if isLeaf else self.modes[number % len(self.modes)]
        row = [tree, number, int(self.random.integers(FEATURES)), float(np.float32(self.random.standard_normal())),
               mode, 0, 0, number % 2]  # fmt: skip
        for values, value in zip(self.nodes.values(), row):
            values.append(value)
        if not isLeaf:
            self.nodes["truenodeids"][at] = self.grow(tree, depth - 1)
            self.nodes["falsenodeids"][at] = self.grow(tree, depth - 1)
            return number
        for target in self.targets:
            weight = self.random.uniform(self.low, 1.0) / 7
            for values, value in zip(self.leaves.values(), (tree, number, target, weight)):
                values.append(value)
        return number

    def attributes(self):
        nodes = {f"nodes_{key}": values for key, values in self.nodes.items()}
        return nodes | {f"{self.prefix}_{key}": values for key, values in self.leaves.items()}


@pytest.mark.parametrize("modes", [["BRANCH_LEQ"], ["BRANCH_LT"], ["BRANCH_GT", "BRANCH_GTE"]])
@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE"])
def test_trees(modes, aggregate):
    trees = Trees("target", [0, 1], modes)
    x = np.random.default_rng(9).standard_normal((37, FEATURES), np.float32)
    x[3, :] = np.nan
    # Right on the splits, where the modes differ.
    x[5:20, :] = np.array(trees.nodes["values"][:15], np.float32)[:, None]
    agree(model("TreeEnsembleRegressor", n_targets=2, aggregate_function=aggregate,
                base_values=[0.5, -0.25], **trees.attributes()), x=x)  # fmt: skip


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC"])
@pytest.mark.parametrize("bases", [(), (0.25, -0.5, 0.125)])
def test_tree_classifier(transform, bases):
    trees = Trees("class", [0, 1, 2], ["BRANCH_LEQ"])
    extra = {"base_values": bases} if bases else {}
    agree(model("TreeEnsembleClassifier", outputs=("label", "scores"), post_transform=transform,
                classlabels_int64s=[4, 8, 6], **extra, **trees.attributes()))  # fmt: skip


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC"])
@pytest.mark.parametrize("bases", [(), (0.25,)])
@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_binary_tree_classifier(low, bases, transform):
    trees = Trees("class", [0], ["BRANCH_LEQ"], low=low)
    extra = {"base_values": bases} if bases else {}
    agree(model("TreeEnsembleClassifier", outputs=("label", "scores"), post_transform=transform,
                classlabels_int64s=[4, 8], **extra, **trees.attributes()))  # fmt: skip


REFUSED = {
    "two parents": dict(nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[1, 0, 0]),
    "cycle": dict(nodes_truenodeids=[0, 0, 0], nodes_falsenodeids=[1, 0, 0]),
    "missing node": dict(nodes_truenodeids=[9, 0, 0], nodes_falsenodeids=[2, 0, 0]),
    "too few": dict(nodes_values=[0.5]),
    "feature below 0": dict(nodes_featureids=[-1, 0, 0]),
    "feature beyond": dict(nodes_featureids=[FEATURES, 0, 0]),
    "weight of a branch": dict(target_nodeids=[0, 2]),
    "target beyond": dict(target_ids=[0, 1]),
    "mode": dict(nodes_modes=["BRANCH_EQ", "LEAF", "LEAF"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_trees(what):
    attributes = dict(
        nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2], nodes_featureids=[1, 0, 0],
        nodes_values=[0.5, 0.0, 0.0], nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_truenodeids=[1, 0, 0], nodes_falsenodeids=[2, 0, 0], target_treeids=[0, 0],
        target_nodeids=[1, 2], target_ids=[0, 0], target_weights=[1.0, 2.0], n_targets=1,
    )  # fmt: skip
    agree(model("TreeEnsembleRegressor", **attributes))
    with pytest.raises(lutra.CompileError) as error:
        lutra.compile(model("TreeEnsembleRegressor", **(attributes | REFUSED[what])))
    assert error.value.exit_code == 3
