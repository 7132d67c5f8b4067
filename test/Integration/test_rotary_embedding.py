# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""com.microsoft's RotaryEmbedding, beside ONNX Runtime."""

import lutra
import numpy as np
import pytest
from attentions import MICROSOFT, Numbers, attends, close, given, onnx_runtime

IDS = [[4, 0, 1], [15, 2, 2]]


def inputs(shape=(2, 3, 16), ids=IDS, pairs=4, positions=16, dtype=np.float32):
    draw = Numbers(len(shape))
    angles = draw(positions, pairs)
    return {
        "x": draw(*shape, dtype=dtype),
        "ids": np.array(ids, np.int64),
        "cos": np.cos(angles).astype(dtype),
        "sin": np.sin(angles).astype(dtype),
    }


def model(arrays, shapes=None, **attributes):
    return attends(
        "RotaryEmbedding", arrays, ["y"], MICROSOFT, opset=21, shapes=shapes, **attributes
    )


FORMS = {
    "ids": (inputs(), {}),
    "offset": (inputs(ids=[5]), {}),
    "scalar offset": (inputs(ids=5), {}),
    "heads": (inputs(), {"num_heads": 2}),
    "apart": (inputs((2, 2, 3, 8)), {}),
    "apart with offset": (inputs((2, 2, 3, 8), [5]), {"num_heads": 2}),
    "part": (inputs(pairs=2), {"num_heads": 2, "rotary_embedding_dim": 4}),
    "part apart": (
        inputs((2, 2, 3, 8), pairs=2), {"num_heads": 2, "rotary_embedding_dim": 4}
    ),
    "part is all": (inputs(), {"num_heads": 2, "rotary_embedding_dim": 8}),
    "one token": (inputs((1, 1, 16), [[3]]), {}),
    "packed": (
        inputs(ids=[[0, 1, 0], [1, 0, 1]], positions=2), {"is_packed_batching": 1}
    ),
    "no sequence": (inputs((2, 0, 16), np.zeros((2, 0))), {}),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("interleaved", [0, 1, 2])
@pytest.mark.parametrize("name", FORMS)
def test_forms(name, interleaved, dtype):
    arrays, attributes = FORMS[name]
    arrays = {n: a if n == "ids" else a.astype(dtype) for n, a in arrays.items()}
    proto = model(arrays, interleaved=interleaved, **attributes)
    tolerance = 1e-5 if dtype == np.float32 else 4e-3
    close(lutra.compile(proto)(given(arrays)), onnx_runtime(proto, arrays), tolerance)


def test_bfloat16():
    """ONNX Runtime's CPU has it for wider floats only."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    narrow = inputs(dtype=ml_dtypes.bfloat16)
    wide = {n: a if n == "ids" else a.astype(np.float32) for n, a in narrow.items()}
    expected = onnx_runtime(model(wide), wide)
    close(lutra.compile(model(narrow))(given(narrow)), expected, 3e-2)


@pytest.mark.parametrize("ids", [IDS, [5]], ids=["ids", "offset"])
@pytest.mark.parametrize("attributes", [{}, {"num_heads": 2, "rotary_embedding_dim": 4}])
def test_dynamic_sizes(ids, attributes):
    pairs = 2 if attributes else 4
    shapes = {
        "x": ["batch", "sequence", 16], "cos": ["positions", pairs],
        "sin": ["positions", pairs], "ids": ["batch", "sequence"] if ids == IDS else [1],
    }  # fmt: skip
    proto = model(inputs(ids=ids, pairs=pairs), shapes, **attributes)
    compiled = lutra.compile(proto)
    for batch, sequence in ((2, 3), (1, 1), (3, 7)):
        places = np.arange(batch * sequence).reshape(batch, sequence) % 16
        arrays = inputs((batch, sequence, 16), places if ids == IDS else ids, pairs)
        close(compiled(given(arrays)), onnx_runtime(proto, arrays), 1e-5)


def test_sequences_longer_than_the_cache():
    shapes = {"x": ["batch", "sequence", 16], "ids": ["batch", "sequence"]}
    compiled = lutra.compile(model(inputs(), shapes))
    assert compiled.dims["sequence"].max == 16
    with pytest.raises(lutra.RunError, match="sequence.*16.*17"):
        compiled(given(inputs((1, 17, 16), np.zeros((1, 17)))))


@pytest.mark.parametrize("ids", [[[-1, 0, 16], [2**62, -(2**62), 3]], [2**63 - 1], [-4]])
def test_positions_without_angles(ids):
    """ONNX Runtime refuses them; they are data, and nothing else is read."""
    y = lutra.compile(model(inputs()))(given(inputs()))["y"]
    arrays = inputs(ids=ids)
    strange = lutra.compile(model(arrays))(given(arrays))["y"]
    assert np.isfinite(strange).all()
    if arrays["ids"].ndim == 2:
        assert np.abs(strange).max() <= 2 * np.abs(y).max()


REFUSED = {
    "rank 2": (inputs((3, 16)), {}, "input of rank 3 or 4, got rank 2"),
    "rank 5": (inputs((1, 1, 1, 3, 8)), {}, "input of rank 3 or 4, got rank 5"),
    "doubles": (inputs(dtype=np.float64), {}, "input of type.*DOUBLE"),
    "other caches": (
        inputs() | {"cos": np.ones((16, 4), np.float16)}, {}, "cos_cache of type FLOAT,"
    ),
    "ids of int32": (inputs() | {"ids": np.zeros((2, 3), np.int32)}, {}, "position_ids"),
    "two offsets": (inputs(ids=[1, 2]), {}, "position_ids of shape"),
    "other ids": (inputs(ids=[[1, 2]]), {}, "position_ids of shape"),
    "other sines": (inputs() | {"sin": np.ones((16, 3), np.float32)}, {}, "sin_cache"),
    "cache of rank 3": (
        inputs() | {"cos": np.ones((1, 16, 4), np.float32)}, {}, "cos_cache of rank 2"
    ),
    "no angles": (inputs(pairs=0), {}, "angles"),
    "no positions": (inputs(positions=0), {}, "positions"),
    "few positions": (inputs(positions=2), {}, "positions"),
    "rows": (inputs((2, 3, 15)), {}, "rows of heads"),
    "no elements": (inputs((2, 3, 0)), {}, "rows of heads"),
    "heads": (inputs(), {"num_heads": 4}, "rows of heads"),
    "heads apart": (inputs((2, 2, 3, 8)), {"num_heads": 3}, "3 heads"),
    "short heads": (inputs((2, 2, 3, 6)), {}, "rows of heads"),
    "part without heads": (inputs(), {"rotary_embedding_dim": 8}, "num_heads"),
    "odd part": (inputs(), {"num_heads": 2, "rotary_embedding_dim": 7}, "angles"),
    "other part": (inputs(), {"num_heads": 2, "rotary_embedding_dim": 4}, "angles"),
    "large part": (
        inputs(pairs=8), {"num_heads": 2, "rotary_embedding_dim": 16}, "rows of heads"
    ),
    "negative part": (inputs(), {"rotary_embedding_dim": -2}, "rotary_embedding_dim in"),
    "negative heads": (inputs(), {"num_heads": -1}, "num_heads in"),
    "many heads": (inputs(), {"num_heads": 2**62}, "num_heads in"),
    "scale": (inputs(), {"scale": 2.0}, "scale of 1"),
    "no ids": (inputs() | {"ids": None}, {}, "position_ids"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    arrays, attributes, message = REFUSED[name]
    proto = model(arrays, **attributes)
    with pytest.raises(lutra.CompileError, match=f"(?s)the_RotaryEmbedding.*{message}") as caught:
        lutra.compile(proto)
    assert len(str(caught.value).splitlines()) == 1


def test_sizes_that_must_be_known():
    for shapes in ({"x": ["b", "s", "h"]}, {"cos": [16, "p"], "sin": [16, "p"]}):
        with pytest.raises(lutra.CompileError, match="the_RotaryEmbedding.*known size"):
            lutra.compile(model(inputs(), shapes))


def standard(arrays, shapes=None, **attributes):
    """The operator of ONNX itself."""
    arrays = {name: arrays[name] for name in ("x", "cos", "sin", "ids")}
    return attends("RotaryEmbedding", arrays, ["y"], "", 23, shapes, num_heads=2, **attributes)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sin": np.ones((15, 4), np.float32)}, "same shape, got .16, 4. and .15, 4."),
        ({"cos": np.ones((15, 4), np.float32)}, "same shape, got .15, 4. and .16, 4."),
        (
            {"cos": np.ones((2, 3, 4), np.float32), "sin": np.ones((2, 3, 4), np.float32)},
            "cache of 4 angles",
        ),
    ],
)
def test_caches_are_looked_up_within_both(changed, message):
    with pytest.raises(lutra.CompileError, match=f"(?s)the_RotaryEmbedding.*{message}"):
        lutra.compile(standard(inputs() | changed))


def test_caches_of_lengths_known_later():
    arrays = inputs()
    compiled = lutra.compile(standard(arrays, {"cos": ["p", 4], "sin": ["q", 4]}))
    close(compiled(given(arrays)), lutra.compile(standard(arrays))(given(arrays)), 0)
    with pytest.raises(lutra.RunError):
        compiled(given(arrays | {"sin": arrays["sin"][:3]}))
