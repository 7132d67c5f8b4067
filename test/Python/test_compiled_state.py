# Part of the Lutra project, under the Apache License v2.0 with LLVM
# Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled models that keep state say what numpy says about the whole sequence."""

import lutra
import models
import numpy as np
import pytest

STATE = ["past:present:max=16"]


@pytest.fixture(scope="module")
def running():
    return lutra.compile(models.running(), state=STATE, dim={"new": (0, 64)})


def rows(count, batch=1, seed=0):
    return np.random.default_rng(seed).standard_normal((batch, count, 4)).astype(np.float32)


@pytest.mark.parametrize("steps", [[16], [1] * 16, [5, 1, 1, 3, 0, 6], [0, 1]])
@pytest.mark.parametrize("batch", [1, 3])
def test_steps_are_the_whole(running, steps, batch):
    x = rows(sum(steps), batch)
    state = running.state()
    done = 0
    for count in steps:
        outputs = running(x[:, done : done + count], state=state)
        done += count
        assert list(outputs) == ["total", "largest"]
        np.testing.assert_allclose(outputs["total"], x[:, :done].sum(1), rtol=1e-5, atol=1e-5)
        if done:
            np.testing.assert_array_equal(outputs["largest"], x[:, :done].max(1))
        assert state.length == done


def test_describes_itself(running):
    assert [t.name for t in running.inputs] == ["x"]
    assert [t.name for t in running.outputs] == ["total", "largest"]
    assert [t.name for t in running.states] == ["past"]
    assert running.states[0].shape[1:] == (16, 4)
    assert running.state().capacity == 16


def test_full(running):
    state = running.state()
    running(rows(14), state=state)
    with pytest.raises(lutra.RunError, match="room for 16, holds 14, this run adds 3"):
        running(rows(3), state=state)
    running(rows(2), state=state)
    assert state.length == 16


def test_forks_and_truncation(running):
    x, y, z = rows(5, seed=1), rows(3, seed=2), rows(4, seed=3)
    state = running.state()
    running(x, state=state)
    other = state.fork()
    running(y, state=state)
    total = running(z, state=other)["total"]
    np.testing.assert_allclose(total, (x.sum(1) + z.sum(1)), rtol=1e-5, atol=1e-5)
    state.truncate(5)
    total = running(z, state=state)["total"]
    np.testing.assert_allclose(total, (x.sum(1) + z.sum(1)), rtol=1e-5, atol=1e-5)


def test_another_batch(running):
    state = running.state()
    running(rows(2, batch=2), state=state)
    with pytest.raises(lutra.RunError, match="expected 2 as the state holds"):
        running(rows(2, batch=3), state=state)
    state.reset()
    x = rows(2, batch=3)
    np.testing.assert_allclose(running(x, state=state)["total"], x.sum(1), rtol=1e-5, atol=1e-5)
