# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reverse mode differentiation of numpy programs, and what trains with it.

Just enough for the transformers of this folder. A Tensor remembers what it was
computed from, each with a function that turns the gradient of the result into
that of the source; `backward` walks this graph from a loss to the parameters.
"""

import math

import numpy as np
from scipy.special import erf


class Tensor:
    """An array with a way back. Operators broadcast as numpy's do; an operand
    that is no Tensor is a constant."""

    # Else `array * tensor` would be an array of Tensors.
    __array_ufunc__ = None

    def __init__(self, data, sources=(), trainable=False):
        self.data = np.asarray(data)
        self.sources = [(source, pull) for source, pull in sources if source.needed]
        self.needed = trainable or bool(self.sources)
        self.grad = None

    @property
    def shape(self):
        return self.data.shape

    def backward(self):
        """Sets `grad` of all parameters that this scalar was computed from."""
        self.grad = np.ones_like(self.data)
        for tensor in reversed(_sources_first(self)):
            for source, pull in tensor.sources:
                grad = pull(tensor.grad)
                source.grad = grad if source.grad is None else source.grad + grad
            if tensor.sources:
                tensor.grad = None

    def __add__(self, other):
        other = constant(other)
        return Tensor(
            self.data + other.data,
            [
                (self, lambda grad: _sum_to(grad, self.shape)),
                (other, lambda grad: _sum_to(grad, other.shape)),
            ],
        )

    def __mul__(self, other):
        other = constant(other)
        return Tensor(
            self.data * other.data,
            [
                (self, lambda grad: _sum_to(grad * other.data, self.shape)),
                (other, lambda grad: _sum_to(grad * self.data, other.shape)),
            ],
        )

    def __sub__(self, other):
        return self + constant(other) * -1.0

    def __pow__(self, exponent):
        def pull(grad):
            return grad * exponent * self.data ** (exponent - 1)

        return Tensor(self.data**exponent, [(self, pull)])

    def __matmul__(self, other):
        other = constant(other)

        def pull_left(grad):
            return _sum_to(grad @ other.data.swapaxes(-1, -2), self.shape)

        def pull_right(grad):
            return _sum_to(self.data.swapaxes(-1, -2) @ grad, other.shape)

        return Tensor(self.data @ other.data, [(self, pull_left), (other, pull_right)])

    __radd__, __rmul__ = __add__, __mul__

    def __rmatmul__(self, other):
        return constant(other) @ self

    def reshape(self, *shape):
        return Tensor(
            self.data.reshape(shape), [(self, lambda grad: grad.reshape(self.shape))]
        )

    def transpose(self, *order):
        back = np.argsort(order)
        return Tensor(
            self.data.transpose(order), [(self, lambda grad: grad.transpose(back))]
        )

    def mean(self, axis):
        """The mean over an axis, which stays as one of size 1."""
        size = self.shape[axis]

        def pull(grad):
            return np.broadcast_to(grad / size, self.shape)

        return Tensor(self.data.mean(axis, keepdims=True), [(self, pull)])


def constant(value):
    """A Tensor that needs no gradient; what already is a Tensor stays it."""
    return value if isinstance(value, Tensor) else Tensor(value)


def _sources_first(loss):
    """All Tensors that a loss was computed from, each after its own sources."""
    order, seen, stack = [], set(), [(loss, False)]
    while stack:
        tensor, done = stack.pop()
        if done:
            order.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack.append((tensor, True))
            stack.extend((source, False) for source, _ in tensor.sources)
    return order


def _sum_to(grad, shape):
    """The gradient of what was broadcast from `shape`."""
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    axes = tuple(i for i, size in enumerate(shape) if size != grad.shape[i])
    return grad.sum(axis=axes, keepdims=True) if axes else grad


# Functions of the layers.


def softmax(x):
    """Over the last axis."""
    y = np.exp(x.data - x.data.max(-1, keepdims=True))
    y /= y.sum(-1, keepdims=True)
    return Tensor(
        y, [(x, lambda grad: y * (grad - (grad * y).sum(-1, keepdims=True)))]
    )


def silu(x):
    gate = 1 / (1 + np.exp(-x.data))
    return Tensor(
        x.data * gate, [(x, lambda grad: grad * gate * (1 + x.data * (1 - gate)))]
    )


def gelu(x):
    """The exact one, by the normal distribution."""
    below = 0.5 * (1 + erf(x.data * math.sqrt(0.5)))

    def pull(grad):
        density = np.exp(-0.5 * x.data**2) * (1 / math.sqrt(2 * math.pi))
        return grad * (below + x.data * density)

    return Tensor(x.data * below, [(x, pull)])


def rms_norm(x, weight, epsilon):
    return x * ((x * x).mean(-1) + epsilon) ** -0.5 * weight


def layer_norm(x, weight, bias, epsilon):
    return rms_norm(x - x.mean(-1), weight, epsilon) + bias


def cross_entropy(logits, targets):
    """The mean loss of the rows of logits whose target is not negative."""
    rows = np.flatnonzero(targets >= 0)
    x = logits.data[rows]
    y = np.exp(x - x.max(-1, keepdims=True))
    y /= y.sum(-1, keepdims=True)
    picked = np.arange(len(rows)), targets[rows]

    def pull(grad):
        slope = y.copy()
        slope[picked] -= 1
        result = np.zeros_like(logits.data)
        result[rows] = slope * (grad / len(rows))
        return result

    return Tensor(-np.log(y[picked] + 1e-20).mean(), [(logits, pull)])


class Adam:
    """Adam over {name: Tensor}, with a rate that rises and then falls to zero and
    with matrices that shrink where nothing keeps them (AdamW)."""

    def __init__(self, parameters, rate, steps, shrink=0.0, warm_up=100):
        self.parameters, self.rate, self.steps = parameters, rate, steps
        self.shrink, self.warm_up, self.taken = shrink, warm_up, 0
        self.mean = {name: np.zeros_like(p.data) for name, p in parameters.items()}
        self.square = {name: np.zeros_like(p.data) for name, p in parameters.items()}

    def step(self, decay=(0.9, 0.99)):
        """Moves the parameters against their gradients, and forgets those."""
        self.taken += 1
        falling = 0.5 + 0.5 * math.cos(math.pi * self.taken / self.steps)
        rate = self.rate * min(1, self.taken / self.warm_up) * falling
        unbias = [1 - d**self.taken for d in decay]
        for name, parameter in self.parameters.items():
            mean, square, grad = self.mean[name], self.square[name], parameter.grad
            mean += (1 - decay[0]) * (grad - mean)
            square += (1 - decay[1]) * (grad * grad - square)
            if parameter.data.ndim > 1:
                parameter.data *= 1 - rate * self.shrink
            size = np.sqrt(square / unbias[1]) + 1e-8
            parameter.data -= (rate / unbias[0]) * mean / size
            parameter.grad = None


def store(path, parameters):
    """Saves {name: Tensor} as float16, and returns them as rounded: it is these
    that a model must be measured with."""
    stored = {name: p.data.astype(np.float16) for name, p in parameters.items()}
    np.savez_compressed(path, **stored)
    return {name: Tensor(p.astype(np.float32)) for name, p in stored.items()}
