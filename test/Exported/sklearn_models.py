# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""scikit-learn estimators, for skl2onnx: fitted to random points."""

from functools import partial

import numpy as np
from family import Network, family, floats
from sklearn import ensemble, linear_model, naive_bayes, neighbors, neural_network, preprocessing, svm, tree
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

sklearn_family = partial(family, "skl2onnx")
FEATURES = 8


def points():
    random = np.random.default_rng(0)
    x = random.standard_normal((200, FEATURES)).astype(np.float32)
    score = x[:, 0] + x[:, 1] * x[:, 2] + 0.1 * random.standard_normal(200)
    return x, score.astype(np.float32)


def network(*steps, classes=0):
    x, score = points()
    y = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes)) if classes else score
    outputs = ["label", "probabilities"] if classes else ["variable"]
    return Network(make_pipeline(*steps).fit(x, y), [floats("x", "batch", FEATURES)], outputs)


@sklearn_family()
def logistic_regression():
    scaler = preprocessing.StandardScaler()
    return network(scaler, linear_model.LogisticRegression(), classes=3)


@sklearn_family()
def binary_logistic_regression():
    scaler = preprocessing.MinMaxScaler()
    return network(scaler, linear_model.LogisticRegression(), classes=2)


@sklearn_family()
def linear_regression():
    return network(preprocessing.Normalizer("l2"), linear_model.Ridge())


@sklearn_family()
def perceptron_classifier():
    return network(preprocessing.StandardScaler(), neural_network.MLPClassifier(hidden_layer_sizes=(12, 9), max_iter=50), classes=3)


@sklearn_family()
def perceptron_regressor():
    model = neural_network.MLPRegressor(hidden_layer_sizes=(12,), activation="tanh", max_iter=50)
    return network(preprocessing.RobustScaler(), PCA(5), model)


@sklearn_family()
def support_vector_classifier():
    return network(preprocessing.StandardScaler(), svm.SVC(), classes=3)


@sklearn_family()
def support_vector_probabilities():
    return network(svm.SVC(kernel="poly", probability=True, random_state=0), classes=2)


@sklearn_family()
def linear_support_vector_classifier():
    return network(svm.LinearSVC(), classes=3)


@sklearn_family()
def support_vector_regressor():
    return network(preprocessing.MaxAbsScaler(), svm.SVR())


@sklearn_family()
def decision_tree():
    return network(tree.DecisionTreeClassifier(max_depth=6, random_state=0), classes=3)


@sklearn_family()
def random_forest():
    return network(ensemble.RandomForestClassifier(12, max_depth=5, random_state=0), classes=3)


@sklearn_family()
def random_forest_regressor():
    return network(ensemble.RandomForestRegressor(12, max_depth=5, random_state=0))


@sklearn_family()
def gradient_boosting():
    return network(ensemble.GradientBoostingRegressor(n_estimators=20, random_state=0))


@sklearn_family()
def gradient_boosting_classifier():
    return network(ensemble.GradientBoostingClassifier(n_estimators=10, random_state=0), classes=3)


@sklearn_family()
def binary_random_forest():
    return network(ensemble.RandomForestClassifier(12, max_depth=5, random_state=0), classes=2)


@sklearn_family()
def binary_gradient_boosting():
    return network(ensemble.GradientBoostingClassifier(n_estimators=10, random_state=0), classes=2)


@sklearn_family()
def binary_support_vector_classifier():
    return network(svm.SVC(kernel="sigmoid"), classes=2)


@sklearn_family()
def polynomial_regression():
    imputer, features = SimpleImputer(), preprocessing.PolynomialFeatures(2)
    return network(imputer, features, linear_model.Lasso(0.01))


@sklearn_family()
def naive_bayes_classifier():
    return network(naive_bayes.GaussianNB(), classes=3)


@sklearn_family()
def nearest_neighbours():
    return network(neighbors.KNeighborsRegressor(3))


@sklearn_family()
def clusters():
    x, _ = points()
    model = KMeans(4, n_init=1, random_state=0).fit(x)
    return Network(model, [floats("x", "batch", FEATURES)], ["label", "scores"])
