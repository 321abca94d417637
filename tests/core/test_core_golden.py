"""The recorded games hold: states exactly, rewards to a relative 1e-5."""

import json
from pathlib import Path

import numpy as np
import pytest

from brigade._core import Engine, Scenario

TRACES = json.loads((Path(__file__).parents[1] / "golden" / "traces.json").read_text())


def test_there_are_49():
    assert len(TRACES) == 49


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: f"{trace['name']}-{trace['seed']}")
def test_recorded_game_is_played_exactly(trace):
    engine = Engine(Scenario(**trace["scenario"]), trace["num_agents"], trace["seed"])
    assert engine.houses.tolist() == trace["initial_houses"]
    for step in trace["steps"]:
        signals = step.get("round1_signals")
        rewards, done = engine.step(step["actions"], signals)
        assert done is engine.done is step["done"]
        assert engine.night == step["night"]
        assert engine.houses.tolist() == step["houses"]
        assert engine.positions.tolist() == step["positions"]
        assert engine.signals.tolist() == step["signals"]
        if signals is not None:
            assert engine.round1_signals.tolist() == signals
        np.testing.assert_allclose(rewards, step["rewards"], rtol=1e-5, atol=0)
        if done:
            engine.reset()
            assert engine.houses.tolist() == step["houses_after_reset"]
