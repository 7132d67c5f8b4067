# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random cascades, as they are and as they are rewritten.

Without `reassoc` nothing may be rewritten, and the same text is its own
reference: it is compiled as one operation after the other. With it the cascade is
derived, laid out, tiled and vectorized. Both are held against numpy in f64, which
computes what the text says.
"""

import lutra
import numpy as np
import pytest
from conftest import run_tool

INPUTS = {"x": "bpm", "q": "bpe", "k": "bme", "v": "bmf", "w": "bp"}


class Cascade:
    """Draws Einsums one after the other, and evaluates each in f64."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        # Of m, one part up to 192 points and several above.
        sizes = [(1, 3), (1, 70), self.pick([(1, 200), (193, 700)]), (1, 40), (1, 40)]
        self.sizes = {
            rank: int(self.random.integers(low, high + 1))
            for rank, (low, high) in zip("bpmef", sizes, strict=True)
        }
        scale = self.pick([1, 1, 8])
        self.inputs = {
            name: (self.random.standard_normal(self.shape(ranks)) * scale).astype("f4")
            for name, ranks in INPUTS.items()
        }
        self.values = {n: a.astype("f8") for n, a in self.inputs.items()}
        self.ranks, self.text = dict(INPUTS), []

    def pick(self, choices):
        return choices[int(self.random.integers(len(choices)))]

    def shape(self, ranks):
        return [self.sizes[rank] for rank in ranks]

    def type(self, ranks):
        return f"tensor<{'x'.join(map(str, self.shape(ranks)))}xf32>"

    def einsum(self, inputs, result, body, value, reduce=None):
        """One Einsum; `value` computes it from arrays with all ranks."""
        every = "".join(dict.fromkeys("".join(self.ranks[i] for i in inputs) + result))
        name = f"t{len(self.text)}"
        read = ", ".join(f"%{i}[{', '.join(self.ranks[i])}]" for i in inputs)
        arguments = ", ".join(f"%a{n}: f32" for n in range(len(inputs)))
        types = ", ".join(self.type(self.ranks[i]) for i in inputs)
        combine = f" reduce({reduce})" if reduce else ""
        self.text.append(
            f"%{name} = cascade.einsum [{', '.join(every)}] ({read}){combine} -> "
            f"[{', '.join(result)}] {{\n^bb0({arguments}):\n{body}\n"
            f"cascade.yield %r : f32\n}} : ({types}) -> {self.type(result)}"
        )
        points = value(*(self.spread(i, every) for i in inputs))
        gone = tuple(n for n, rank in enumerate(every) if rank not in result)
        points = np.broadcast_to(points, self.shape(every))
        if reduce:
            points = {"add": np.sum, "max": np.max}[reduce](points, axis=gone)
        kept = [rank for rank in every if rank in result]
        self.values[name] = np.transpose(points, [kept.index(rank) for rank in result])
        self.ranks[name] = result
        return name

    def spread(self, name, every):
        ranks, array = self.ranks[name], self.values[name]
        array = np.transpose(array, sorted(range(len(ranks)), key=lambda n: every.index(ranks[n])))
        return array.reshape([self.sizes[r] if r in ranks else 1 for r in every])

    def product(self, a, b, result):
        body = "%r = arith.mulf %a0, %a1 : f32"
        return self.einsum([a, b], result, body, np.multiply, "add")

    def reduced(self, stream, monoid):
        body = "%c = arith.constant 1.0 : f32\n%r = arith.mulf %a0, %c : f32"
        return self.einsum([stream], "bp", body, lambda x: x, monoid)

    def draw(self):
        """A stream, and passes over it that need what others found."""
        random = self.random.random
        stream = "x" if random() < 0.3 else self.product("q", "k", "bpm")
        body = "%c = arith.constant 0.25 : f32\n%r = arith.mulf %a0, %c : f32"
        stream = self.einsum([stream], "bpm", body, lambda x: x * 0.25)
        if random() < 0.4:
            distance = self.pick([0, 5, 60])
            body = (
                f'%i = cascade.index "p"\n%j = cascade.index "m"\n'
                f"%n = arith.constant {distance} : index\n%s = arith.addi %i, %n : index\n"
                "%h = arith.cmpi sle, %j, %s : index\n%l = arith.constant 0xFF800000 : f32\n"
                "%r = arith.select %h, %a0, %l : f32"
            )
            seen = np.arange(self.sizes["m"]) <= np.arange(self.sizes["p"])[:, None] + distance
            stream = self.einsum([stream], "bpm", body, lambda x: np.where(seen, x, -np.inf))
        top = self.reduced(stream, "max")
        body = "%d = arith.subf %a0, %a1 : f32\n%r = math.exp %d : f32"
        shares = self.einsum([stream, top], "bpm", body, lambda x, d: np.exp(x - d))
        total = self.reduced(shares, "add")
        if random() < 0.5:
            body = "%r = arith.divf %a0, %a1 : f32"
            shares = self.einsum([shares, total], "bpm", body, np.divide)
        if random() < 0.5:
            body = "%r = arith.mulf %a0, %a1 : f32"
            shares = self.einsum([shares, "w"], "bpm", body, np.multiply)
        results = [self.product(shares, "v", "bpf") if random() < 0.7
                   else self.reduced(shares, "add")]  # fmt: skip
        if random() < 0.4:
            body = "%g = math.log %a0 : f32\n%r = arith.addf %g, %a1 : f32"
            results.append(
                self.einsum([total, top], "bp", body, lambda s, d: np.log(s) + d)
            )
        if random() < 0.3:
            results += self.moments("x")
        if random() < 0.3:
            results += self.shares_again(stream, total)
        return results

    def shares_again(self, stream, total):
        """The sum of exponentials of what was divided, under a maximum of its own."""
        body = "%g = math.log %a1 : f32\n%r = arith.subf %a0, %g : f32"
        logs = self.einsum([stream, total], "bpm", body, lambda x, s: x - np.log(s))
        top = self.reduced(logs, "max")
        body = "%d = arith.subf %a0, %a1 : f32\n%r = math.exp %d : f32"
        shares = self.einsum([logs, top], "bpm", body, lambda x, d: np.exp(x - d))
        return [total, self.reduced(shares, "add")]

    def moments(self, stream):
        """The mean along m, and the squares about it."""
        total, size = self.reduced(stream, "add"), self.sizes["m"]
        body = f"%c = arith.constant {size}.0 : f32\n%r = arith.divf %a0, %c : f32"
        mean = self.einsum([total], "bp", body, lambda x: x / size)
        body = "%r = arith.subf %a0, %a1 : f32"
        distance = self.einsum([stream, mean], "bpm", body, np.subtract)
        body = "%r = arith.mulf %a0, %a0 : f32"
        return [mean, self.einsum([distance], "bp", body, np.square, "add")]

    def module(self, results, reassoc):
        def tensor(name, ranks):
            sizes = ", ".join(map(str, self.shape(ranks)))
            return (f'{{lutra.dtype = "FLOAT", lutra.name = "{name}", '
                    f"lutra.shape = affine_map<() -> ({sizes})>}}")  # fmt: skip

        arguments = ", ".join(
            f"%{name}: {self.type(ranks)} {tensor(name, ranks)}" for name, ranks in INPUTS.items()
        )
        types = [self.type(self.ranks[name]) for name in results]
        returned = ", ".join(
            f"{kind} {tensor(f'y{n}', self.ranks[name])}"
            for n, (name, kind) in enumerate(zip(results, types, strict=True))
        )
        extents = ", ".join(f"{rank} = {size}" for rank, size in self.sizes.items())
        types, body = ", ".join(types), "\n".join(self.text)
        values = ", ".join(f"%all#{n}" for n in range(len(results)))
        return (
            f"module @drawn {{ func.func @main({arguments}) -> ({returned}) "
            f"attributes {{lutra.dims = []}} {{\n%all:{len(results)} = cascade.cascade "
            f"{'reassoc ' if reassoc else ''}ranks({extents}) {{\n{body}\n"
            f"cascade.yield {', '.join('%' + name for name in results)} : {types}\n}} : {types}\n"
            f"return {values} : {types}\n}} }}\n"
        )


@pytest.mark.parametrize("seed", range(40))
def test_rewritten(seed, tmp_path):
    cascade = Cascade(seed)
    results = cascade.draw()
    errors = {}
    for reassoc in (False, True):
        source, library = tmp_path / f"{reassoc}.mlir", tmp_path / f"{reassoc}.so"
        source.write_text(cascade.module(results, reassoc))
        run_tool("lutra-compile", source, "--compile-from=quantize", "-o", library)
        actual = lutra.load(library)(cascade.inputs)
        errors[reassoc] = [
            np.max(np.abs(actual[f"y{n}"] - cascade.values[name]))
            / max(1e-3, np.max(np.abs(cascade.values[name])))
            for n, name in enumerate(results)
        ]
    # An exponent is known to as many units in the last place as it is large.
    exponents = max(np.max(np.abs(x[np.isfinite(x)])) for x in cascade.values.values())
    for plain, rewritten in zip(errors[False], errors[True], strict=True):
        assert rewritten <= 2 * plain + 2e-7 * max(10, exponents)
