"""Observations: every entry is what the layout says, and within the bounds."""

import numpy as np
import pytest
from core_arrays import Arrays
from core_strategies import setups
from hypothesis import given, settings

from brigade._core import (
    PARAMETER_FEATURES,
    Engine,
    Scenario,
    named_scenario,
    num_features,
    observation_bounds,
    observation_layout,
)

PROBABILITIES = {name for name in Scenario.PARAMETERS if name.startswith("prob_")}
MODES = {
    "extinguish_mode": "continuous",
    "commitment_mode": "two_phase",
    "action_validity_mode": "adjacent_only",
    "team_welfare_kind": "team_welfare_closed_form",
}


def parameter(scenario, name, seat):
    """The entry of a parameter in a seat's observation."""
    value = getattr(scenario, name)
    if name in MODES:
        return float(value == MODES[name])
    if isinstance(value, list):
        value = value[seat]
    return value if name in PROBABILITIES else value / (abs(value) + 100)


def expected(engine, seat, phase):
    """What the seat sees, block by block, from the game's attributes."""
    scenario, num_agents = engine.scenario, engine.num_agents
    n = scenario.num_houses
    homes = scenario.agent_home_positions or [a % n for a in range(num_agents)]
    worked = [[h == house and mode for house, mode, _ in engine.last_actions] for h in range(n)]
    night, least = engine.night, scenario.min_nights
    return {
        "houses": np.eye(3)[engine.houses].ravel(),
        "fire_progress": engine.fire_progress,
        "workers": np.sum(worked, axis=1) / num_agents,
        "owned": np.arange(n) % num_agents == seat,
        "home": np.eye(n)[homes[seat]],
        "seat": np.eye(num_agents)[seat],
        "positions": engine.positions / (n - 1),
        "signals": engine.signals,
        "last_modes": engine.last_actions[:, 1],
        "round1_signals": engine.round1_signals,
        "phase": [phase],
        "night": [night / (night + 100), min(night, least) / max(least, 1)],
        "parameters": [parameter(scenario, name, seat) for name in PARAMETER_FEATURES],
    }


@settings(max_examples=80, deadline=None)
@given(setups())
def test_every_entry_is_what_the_layout_says(setup):
    scenario, num_agents = setup.scenario, setup.num_agents
    layout = observation_layout(scenario, num_agents)
    low, high = observation_bounds(scenario, num_agents)
    arrays = Arrays(scenario, 1, num_agents, 1000, [setup.seed])
    engine = Engine(scenario, num_agents, setup.seed)
    rng = np.random.default_rng(0)
    arrays.batch.write_observations(arrays.observations)

    def check(phase):
        for seat, row in enumerate(arrays.observations[0]):
            for name, block in expected(engine, seat, phase).items():
                np.testing.assert_allclose(row[layout[name]], block, rtol=0, atol=1e-6)
        assert (arrays.observations >= low).all()
        assert (arrays.observations <= high).all()

    check(int(setup.two_phase))
    for _ in range(6):
        signals = None
        if setup.two_phase:
            given_actions = setup.actions(rng, 1)
            arrays.step(given_actions)
            row = arrays.observations[0, 0]
            signals = given_actions[0, :, 2]
            assert row[layout["round1_signals"]].tolist() == signals.tolist()
            assert row[layout["phase"]] == 0
        actions = setup.actions(rng, 1)
        arrays.step(actions)
        if engine.step(actions[0], signals)[1]:
            engine.reset()
        check(int(setup.two_phase))


def test_blocks_follow_each_other_without_a_gap():
    for num_agents in (1, 4, 13):
        layout = observation_layout("positional_default".replace("positional_", ""), num_agents)
        assert list(layout) == [
            "houses",
            "fire_progress",
            "workers",
            "owned",
            "home",
            "seat",
            "positions",
            "signals",
            "last_modes",
            "round1_signals",
            "phase",
            "night",
            "parameters",
        ]
        end = 0
        for block in layout.values():
            assert block == slice(end, block.stop)
            end = block.stop
        assert end == num_features("default", num_agents)
        assert layout["parameters"].stop - layout["parameters"].start == len(PARAMETER_FEATURES)


@settings(max_examples=100, deadline=None)
@given(setups())
def test_bounds_are_finite_and_no_wider_than_documented(setup):
    low, high = observation_bounds(setup.scenario, setup.num_agents)
    layout = observation_layout(setup.scenario, setup.num_agents)
    assert low.dtype == high.dtype == np.float32
    assert low.shape == high.shape == (num_features(setup.scenario, setup.num_agents),)
    assert (low[: layout["parameters"].start] == 0).all()
    assert set(low.tolist()) <= {-1.0, 0.0}
    assert (high == 1).all()


def test_extreme_parameters_stay_within_the_bounds():
    for sign in (-1, 1):
        scenario = Scenario(
            **{
                name: sign * 1e9
                for name in Scenario.PARAMETERS
                if name.startswith(("reward", "penalty", "team_reward", "team_penalty", "action_s"))
            },
            min_nights=10**9,
        )
        low, high = observation_bounds(scenario, 2)
        arrays = Arrays(scenario, 4, 2, 50, range(4))
        for _ in range(100):
            arrays.step(np.ones((4, 2, 3), np.int32))
            assert (arrays.observations >= low).all()
            assert (arrays.observations <= high).all()
            assert np.isfinite(arrays.rewards).all()


@pytest.mark.parametrize("function", [observation_layout, num_features, observation_bounds])
def test_bad_arguments_are_refused(function):
    with pytest.raises(ValueError, match="did you mean"):
        function("defult", 4)
    with pytest.raises(ValueError, match="num_agents must be"):
        function("default", 0)
    with pytest.raises(ValueError, match="agent_home_positions must have one entry per seat"):
        function(named_scenario("default").replace(agent_home_positions=[0]), 4)
