# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a family of exported networks is: a function that builds the network,
the exporters that it goes through, and the sizes that it is run at."""

from typing import Callable, NamedTuple

import numpy as np


class Input(NamedTuple):
    """An input: `shape` has numbers, names of dimensions and sums of names."""

    name: str
    shape: tuple
    draw: Callable

    def sizes(self, dims):
        return [_size(size, dims) for size in self.shape]

    def array(self, random, dims):
        return self.draw(random, self.sizes(dims))


def _size(size, dims):
    if isinstance(size, int):
        return size
    return sum(dims[name] for name in size.split(" + "))


def floats(name, *shape):
    return Input(name, shape, lambda random, sizes: random.standard_normal(sizes, np.float32))


def tokens(name, high, *shape):
    return Input(name, shape, lambda random, sizes: random.integers(0, high, sizes))


def mask(name, *shape):
    """Zeros that end some of the sequences of [batch, sequence]."""

    def draw(random, sizes):
        array = np.ones(sizes, np.int64)
        array[1::2, (sizes[1] + 1) // 2 :] = 0
        return array

    return Input(name, shape, draw)


def ordinals(name, *shape):
    """The places of the tokens of each sequence."""
    return Input(name, shape, lambda random, sizes: np.broadcast_to(np.arange(sizes[-1]), sizes).copy())


class Network(NamedTuple):
    """What a family's function returns: a network and its inputs, in order."""

    model: object
    inputs: list
    outputs: list = ["y"]


class Family(NamedTuple):
    name: str
    exporter: str
    build: Callable
    #: Of each dimension, the sizes of the runs; the export sees other sizes.
    runs: dict

    def draws(self):
        count = max(map(len, self.runs.values()))
        return [{name: sizes[i % len(sizes)] for name, sizes in self.runs.items()}
                for i in range(count)]  # fmt: skip


FAMILIES = []


def family(*exporters, **runs):
    """Registers a function once for each exporter; `batch` is always there."""

    def register(build):
        for exporter in exporters:
            FAMILIES.append(Family(build.__name__, exporter, build, {"batch": (1, 3, 5), **runs}))
        return build

    return register
