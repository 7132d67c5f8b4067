# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Keras networks, for tf2onnx."""

from functools import partial

import keras
from family import Network, family, floats, tokens
from keras import layers

keras_family = partial(family, "tf2onnx")
SEQUENCE = {"sequence": (11, 1, 24)}
IMAGE = floats("x", "batch", 32, 32, 3)


@keras_family()
def keras_cnn():
    x = y = keras.Input((32, 32, 3))
    y = layers.Conv2D(8, 3, padding="same", strides=2)(y)
    y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
    y = layers.SeparableConv2D(16, 3, padding="same", activation="swish")(y)
    y = layers.MaxPooling2D(3, 2, padding="same")(y)
    y = layers.Flatten()(layers.Conv2D(12, 3, dilation_rate=2)(y))
    return Network(keras.Model(x, layers.Dense(5, activation="softmax")(y)), [IMAGE])


@keras_family()
def keras_mobilenet():
    model = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=10)
    return Network(model, [IMAGE])


@keras_family()
def keras_autoencoder():
    x = keras.Input((32, 32, 3))
    y = layers.Conv2D(8, 3, 2, padding="same", activation="elu")(x)
    y = layers.Conv2DTranspose(8, 3, 2, padding="same", activation="relu")(y)
    y = layers.UpSampling2D(2, interpolation="bilinear")(layers.AveragePooling2D(2)(y))
    return Network(keras.Model(x, layers.Conv2D(3, 1, activation="tanh")(y)), [IMAGE])


def recurrent(cell):
    x = keras.Input((None,), dtype="int64")
    y = cell(layers.Embedding(61, 16)(x))
    model = keras.Model(x, layers.Dense(5)(y))
    return Network(model, [tokens("x", 61, "batch", "sequence")])


@keras_family(**SEQUENCE)
def keras_lstm():
    return recurrent(layers.LSTM(24))


@keras_family(**SEQUENCE)
def keras_bidirectional():
    return recurrent(layers.Bidirectional(layers.LSTM(24, return_sequences=True)))


@keras_family(**SEQUENCE)
def keras_gru():
    return recurrent(layers.GRU(24, return_sequences=True))


@keras_family(**SEQUENCE)
def keras_transformer():
    x = keras.Input((None, 16))
    y = layers.MultiHeadAttention(4, 8)(x, x, use_causal_mask=True)
    y = layers.LayerNormalization()(x + y)
    # Without the approximation tf2onnx writes Erfc, which ONNX does not have.
    gelu = partial(keras.activations.gelu, approximate=True)
    z = layers.Dense(16)(layers.Dense(32, activation=gelu)(y))
    model = keras.Model(x, layers.GlobalAveragePooling1D()(layers.LayerNormalization()(y + z)))
    return Network(model, [floats("x", "batch", "sequence", 16)])


@keras_family(**SEQUENCE)
def keras_convolution():
    x = keras.Input((None, 6))
    y = layers.Conv1D(16, 3, padding="causal", dilation_rate=2, activation="relu")(x)
    y = layers.Conv1D(8, 5, padding="same")(y)
    return Network(keras.Model(x, layers.GlobalMaxPooling1D()(y)), [floats("x", "batch", "sequence", 6)])
