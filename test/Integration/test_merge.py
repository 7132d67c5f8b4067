# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The algebra of states: that merging them is what it must be to be of use.

Merging is commutative and associative, what saw nothing is neutral, and states of
parts merge to the state of the whole. Each law is checked on many rows at once,
random and adversarial: parts that saw nothing, references far apart, sums of 0.
Errors are measured against numpy in f64.
"""

import lutra
import numpy as np
import pytest
from conftest import run_tool

ROWS, WIDTH = 512, 8
LOWEST = np.finfo(np.float32).min
FAMILIES = ("exp", "exp2", "ratio")


def tensor(name, shape):
    sizes = ", ".join(map(str, shape))
    return (
        f'{{lutra.dtype = "FLOAT", lutra.name = "{name}", '
        f"lutra.shape = affine_map<() -> ({sizes})>}}"
    )


def kind(shape):
    return f"tensor<{'x'.join(map(str, shape))}xf32>"


def build(folder, name, inputs, outputs, ranks, body):
    """Compiles a cascade that yields `outputs`, values of `body` by name."""
    arguments = ", ".join(f"%{n}: {kind(s)} {tensor(n, s)}" for n, s in inputs.items())
    returned = ", ".join(f"{kind(s)} {tensor(n, s)}" for n, s in outputs.items())
    types = ", ".join(map(kind, outputs.values()))
    values = ", ".join(f"%all#{n}" for n in range(len(outputs)))
    extents = ", ".join(f"{rank} = {size}" for rank, size in ranks.items())
    source, library = folder / f"{name}.mlir", folder / f"{name}.so"
    source.write_text(
        f"module @laws {{ func.func @main({arguments}) -> ({returned}) "
        f"attributes {{lutra.dims = []}} {{\n"
        f"%all:{len(outputs)} = cascade.cascade reassoc ranks({extents}) {{\n{body}\n"
        f"cascade.yield {', '.join('%' + n for n in outputs)} : {types}\n}} : {types}\n"
        f"return {values} : {types}\n}} }}\n"
    )
    run_tool("lutra-compile", source, "--compile-from=quantize", "-o", library)
    return lutra.load(library)


def einsum(result, inputs, ranks, body, shape, reduce=""):
    """`inputs`: a name, its ranks and its shape each."""
    every = dict.fromkeys("".join(r for _, r, _ in inputs) + ranks)
    read = ", ".join(f"%{n}[{', '.join(r)}]" for n, r, _ in inputs)
    arguments = ", ".join(f"%a{i}: f32" for i in range(len(inputs)))
    return (
        f"%{result} = cascade.einsum [{', '.join(every)}] ({read}) {reduce} -> "
        f"[{', '.join(ranks)}] {{\n^bb0({arguments}):\n{body}\n}} : "
        f"({', '.join(kind(s) for _, _, s in inputs)}) -> {kind(shape)}\n"
    )


SHAPES = {"d": (ROWS,), "t": (ROWS,), "o": (ROWS, WIDTH)}
RANKS = {"d": "p", "t": "p", "o": "pf"}


class Merge:
    """Merges `count` states (d, t, o), or sums (t, o) where there is no family."""

    def __init__(self, folder, family, count):
        self.names = ("d", "t", "o") if family else ("t", "o")
        inputs = {f"{n}s": (count, *SHAPES[n]) for n in self.names}
        body = "".join(
            einsum(f"{n}c", [(f"{n}s", "s" + RANKS[n], inputs[f"{n}s"])], "s" + RANKS[n],
                   "cascade.yield %a0 : f32", inputs[f"{n}s"])
            for n in self.names
        )  # fmt: skip
        sums = ", ".join(kind(inputs[f"{n}s"]) for n in ("t", "o"))
        results = ", ".join(kind(SHAPES[n]) for n in self.names)
        reference = f"%dc : {kind(inputs['ds'])} " if family else ""
        body += (
            f"%m:{len(self.names)} = cascade.merge {reference}sums(%tc, %oc) "
            f"{family or 'exp'} max : ({sums}) -> ({results})\n"
        )
        for i, n in enumerate(self.names):
            body += einsum(n, [(f"m#{i}", RANKS[n], SHAPES[n])], RANKS[n],
                           "cascade.yield %a0 : f32", SHAPES[n])  # fmt: skip
        self.model = build(
            folder, f"{family}{count}", inputs, {n: SHAPES[n] for n in self.names},
            {"s": count, "p": ROWS, "f": WIDTH}, body,
        )  # fmt: skip

    def __call__(self, *states):
        return self.model(
            {f"{n}s": np.stack([state[n] for state in states]) for n in self.names}
        )


def exact(family, *states):
    """The merged state in f64, and by how much its rounding may differ."""
    t, o = (np.stack([s[n] for s in states]).astype("f8") for n in ("t", "o"))
    if not family:
        return {"t": t.sum(0), "o": o.sum(0)}, np.abs(t).sum(0), np.abs(o).sum(0)
    d = np.stack([s["d"] for s in states]).astype("f8")
    low = d if family == "ratio" else np.maximum(d, LOWEST)
    top = low.max(0)
    with np.errstate(all="ignore"):
        factor = {"exp": lambda: np.exp(low - top), "exp2": lambda: np.exp2(low - top),
                  "ratio": lambda: np.where(low == top, 1, low / top)}[family]()  # fmt: skip
    t, o = t * factor, o * factor[..., None]
    return {"d": d.max(0), "t": t.sum(0), "o": o.sum(0)}, np.abs(t).sum(0), np.abs(o).sum(0)


def agree(family, actual, *states):
    # An exponent is known to as many units in the last place as it is large, up
    # to 104, below which exponentials are 0.
    want, *sizes = exact(family, *states)
    if family:
        np.testing.assert_array_equal(
            np.maximum(actual["d"], LOWEST), np.maximum(want["d"], LOWEST)
        )
    for name, size in zip(("t", "o"), sizes, strict=True):
        error = np.abs(actual[name] - want[name])
        assert np.isfinite(actual[name]).all()
        assert (error <= 4e-5 * size + 1e-36).all(), name


def states(family, count, seed):
    """States of ROWS rows; some see nothing, some have sums of 0."""
    random = np.random.default_rng(seed)
    spread = random.choice([0.0, 1.0, 50.0, 1e4], (1, ROWS))
    d = (random.standard_normal((count, ROWS)) * spread).astype("f4")
    if family == "ratio":
        d = np.exp(np.clip(d, -40, 40)).astype("f4")
    t = random.uniform(0, 100, (count, ROWS)).astype("f4")
    o = (random.standard_normal((count, ROWS, WIDTH)) * 100).astype("f4")
    zero = random.random((count, ROWS)) < 0.1
    t[zero], o[zero] = 0, 0
    empty = random.random((count, ROWS)) < 0.2
    nothing = 0 if family == "ratio" else random.choice([-np.inf, LOWEST], d.shape)
    d = np.where(empty, nothing, d).astype("f4")
    t[empty], o[empty] = 0, 0
    return [{"d": d[i], "t": t[i], "o": o[i]} for i in range(count)]


@pytest.fixture(scope="module", params=[None, *FAMILIES])
def merges(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("merges")
    family = request.param
    return family, Merge(folder, family, 2), Merge(folder, family, 3)


@pytest.mark.parametrize("seed", range(4))
def test_commutative(merges, seed):
    family, merge, _ = merges
    a, b = states(family, 2, seed)
    agree(family, merge(a, b), a, b)
    agree(family, merge(b, a), a, b)


@pytest.mark.parametrize("seed", range(4))
def test_associative(merges, seed):
    family, merge, merge3 = merges
    a, b, c = states(family, 3, seed)
    agree(family, merge(merge(a, b), c), a, b, c)
    agree(family, merge(a, merge(b, c)), a, b, c)
    agree(family, merge3(a, b, c), a, b, c)
    agree(family, merge3(c, a, b), a, b, c)


def test_neutral(merges):
    """What saw nothing changes no bit of what saw something."""
    family, merge, merge3 = merges
    (a,) = states(family, 1, 7)
    for nothing in (0,) if family == "ratio" else (-np.inf, LOWEST):
        empty = {n: np.zeros_like(x) for n, x in a.items()}
        empty["d"] += np.float32(nothing)
        for merged in (merge(a, empty), merge(empty, a), merge3(empty, a, empty)):
            for name in ("t", "o"):
                np.testing.assert_array_equal(merged[name], a[name])
            if family:
                np.testing.assert_array_equal(
                    np.maximum(merged["d"], LOWEST), np.maximum(a["d"], LOWEST)
                )
        nothing = merge(empty, empty)
        assert not nothing["t"].any() and not nothing["o"].any()


@pytest.mark.parametrize("family", ["exp", "exp2"])
def test_nan_and_overflow(family, tmp_path):
    """NaN of a part is NaN of the whole; no factor is more than 1."""
    merge = Merge(tmp_path, family, 2)
    a, b = states(family, 2, 9)
    a["d"][0] = a["t"][0] = a["o"][0] = np.nan
    a["d"][1], b["d"][1] = np.finfo(np.float32).max, LOWEST
    merged = merge(a, b)
    for n in ("d", "t", "o"):
        np.testing.assert_array_equal(np.isnan(merged[n]).any(axis=-1 if n == "o" else ()),
                                      np.arange(ROWS) == 0)  # fmt: skip
    np.testing.assert_array_equal(merged["o"][1], a["o"][1])


class Iteration:
    """What an iteration over `length` points carries behind the last."""

    def __init__(self, folder, family, length):
        x, v = (ROWS, length), (length, WIDTH)
        inputs, yielded = {"x": x, "v": v}, "cascade.yield %r : f32"
        exp = "math.exp" if family == "exp" else "math.exp2"
        outputs = dict(SHAPES)
        if family:
            body = einsum("d", [("x", "pm", x)], "p",
                          "cascade.yield %a0 : f32", SHAPES["d"], "reduce(max)")  # fmt: skip
            body += einsum("w", [("x", "pm", x), ("d", "p", SHAPES["d"])], "pm",
                           f"%b = arith.subf %a0, %a1 : f32\n%r = {exp} %b : f32\n{yielded}", x)  # fmt: skip
        else:
            del outputs["d"]
            body = einsum("w", [("x", "pm", x)], "pm",
                          f"%r = math.absf %a0 : f32\n{yielded}", x)  # fmt: skip
        body += einsum("t", [("w", "pm", x)], "p",
                       "cascade.yield %a0 : f32", SHAPES["t"], "reduce(add)")  # fmt: skip
        body += einsum("o", [("w", "pm", x), ("v", "mf", v)], "pf",
                       f"%r = arith.mulf %a0, %a1 : f32\n{yielded}", SHAPES["o"], "reduce(add)")  # fmt: skip
        ranks = {"p": ROWS, "m": length, "f": WIDTH}
        self.model = build(folder, f"{family}{length}", inputs, outputs, ranks, body)

    def __call__(self, x, v):
        return self.model({"x": x, "v": v})


def as_state(result):
    """Where no point is above -inf, what is computed is NaN, and the state of it 0."""
    gone = np.isneginf(result["d"]) if "d" in result else np.zeros(ROWS, bool)
    for name in ("t", "o"):
        assert np.isnan(result[name][gone]).all() and np.isfinite(result[name][~gone]).all()
        result[name] = np.where(gone if name == "t" else gone[:, None], 0, result[name])
    return result


@pytest.mark.parametrize("family", [None, "exp", "exp2"])
def test_parts_are_the_whole(family, tmp_path):
    cuts = [0, 37, 165, 170]
    lengths = np.diff(cuts)
    merge = Merge(tmp_path, family, 3)
    random = np.random.default_rng(3)
    scale = random.choice([1.0, 20.0, 1e4], (ROWS, 1))
    x = (random.standard_normal((ROWS, cuts[-1])) * scale).astype("f4")
    # Rows that some parts, or all, see nothing of.
    for part in range(3):
        gone = random.random(ROWS) < 0.2
        x[gone, cuts[part] : cuts[part + 1]] = -np.inf
    x[:5] = -np.inf
    if not family:
        x[~np.isfinite(x)] = 0
    v = random.standard_normal((cuts[-1], WIDTH)).astype("f4")
    parts = [
        as_state(Iteration(tmp_path, family, length)(x[:, a : a + length], v[a : a + length]))
        for a, length in zip(cuts, lengths, strict=False)
    ]
    whole, merged = as_state(Iteration(tmp_path, family, cuts[-1])(x, v)), merge(*parts)
    if family:
        np.testing.assert_array_equal(whole["d"], merged["d"])
    for name in ("t", "o"):
        size = merged["t"] if name == "t" else merged["t"][:, None] * np.abs(v).max()
        assert (np.abs(whole[name] - merged[name]) <= 2e-5 * size + 1e-36).all(), name
