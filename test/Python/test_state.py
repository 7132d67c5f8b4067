# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""States, with the unit tests' artifact written by hand: total = the sum of all
x[batch,2,new,3] so far, at most 8 along `new`."""

from concurrent.futures import ThreadPoolExecutor

import lutra
import numpy as np
import pytest
from conftest import BUILD


@pytest.fixture(scope="module")
def sums():
    return lutra.load(BUILD / "test" / "Unit" / "Runtime" / "Inputs" / "fake-state.so")


def append(model, state, count, value, batch=1):
    x = np.full((batch, 2, count, 3), value, np.float32)
    mask = np.zeros((batch, state.length + count), np.int64)
    total = model(x, mask, state=state)["total"]
    assert total.shape == (batch, 2, 3) and (total == total[0, 0, 0]).all()
    return total[0, 0, 0]


def test_describes_itself(sums):
    assert sums.states[0] == ("past", np.dtype(np.float32), ("batch", 2, 8, 3))
    assert [t.name for t in sums.inputs] == ["x", "mask"]
    state = sums.state()
    assert (state.length, state.capacity) == (0, 8)
    assert repr(state) == "<lutra.State of sums: 0 of 8>"


def test_calls_append(sums):
    state = sums.state()
    assert append(sums, state, 3, 1) == 3
    assert append(sums, state, 1, 10) == 13
    assert state.length == 4
    with pytest.raises(lutra.RunError, match="room for 8, holds 4, this run adds 5"):
        append(sums, state, 5, 1)
    assert state.length == 4
    assert append(sums, state, 4, 100) == 413


def test_truncate_and_fork(sums):
    state = sums.state()
    append(sums, state, 2, 1)
    other = state.fork()
    assert append(sums, other, 1, 10) == 12
    assert append(sums, state, 2, 100) == 202
    state.truncate(1)
    assert (state.length, other.length) == (1, 3)
    assert append(sums, state, 1, 5) == 6
    for length in (3, -1):
        with pytest.raises(lutra.RunError, match=f"0 to 2, got {length}"):
            state.truncate(length)


def test_batch(sums):
    state = sums.state()
    append(sums, state, 1, 1, batch=2)
    with pytest.raises(lutra.RunError, match="'batch': expected 2 .* got 3"):
        append(sums, state, 1, 1, batch=3)
    state.reset()
    assert append(sums, state, 1, 7, batch=3) == 7


def test_wrong_states(sums):
    x, mask = np.zeros((1, 2, 1, 3), np.float32), np.zeros((1, 1), np.int64)
    twin = lutra.load(BUILD / "test" / "Unit" / "Runtime" / "Inputs" / "fake-state.so")
    without = lutra.load(BUILD / "test" / "Unit" / "Runtime" / "Inputs" / "fake.so")
    with pytest.raises(lutra.RunError, match="keeps state: expected one, got none"):
        sums(x, mask)
    with pytest.raises(lutra.RunError, match="of another model"):
        sums(x, mask, state=twin.state())
    with pytest.raises(lutra.RunError, match="expected a lutra.State, got int"):
        sums(x, mask, state=3)
    with pytest.raises(lutra.RunError, match="keeps no state"):
        without.state()
    with pytest.raises(lutra.RunError, match="keeps no state: expected none"):
        x, bias = np.zeros((1, 4), np.float32), np.zeros(4, np.float32)
        without(x, bias, state=sums.state())


def test_a_state_keeps_its_model():
    state = lutra.load(BUILD / "test" / "Unit" / "Runtime" / "Inputs" / "fake-state.so").state()
    assert state.fork().capacity == 8


def test_threads_with_states_of_their_own(sums):
    def call(value):
        state = sums.state()
        return [append(sums, state, 2, value) for _ in range(4)]

    with ThreadPoolExecutor(8) as pool:
        for value, totals in enumerate(pool.map(call, range(64))):
            assert totals == [2 * value, 4 * value, 6 * value, 8 * value]


def test_threads_share_a_state(sums):
    """Calls take turns, whatever their order."""
    x = np.ones((1, 2, 0, 3), np.float32)

    def call(_):
        return sums(x, np.zeros((1, 4), np.int64), state=state)["total"][0, 0, 0]

    state = sums.state()
    append(sums, state, 4, 1)
    with ThreadPoolExecutor(8) as pool:
        assert all(total == 4 for total in pool.map(call, range(256)))
