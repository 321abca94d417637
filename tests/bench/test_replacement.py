"""An agent that is worse than its peers is found, and none where all are alike."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from brigade.config import RunConfig, convert
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.ppo.agents import AgentState, initial_state
from brigade.sim.preparation import population_of
from brigade.store.checkpoint import Checkpoint

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
import replacement

PULL = 8.0


def population(
    work: Sequence[float], team_spirit: float = 0.0, name: str = "default"
) -> Checkpoint:
    """Agents who go to fires, with these logits to work anywhere."""
    config = convert(
        RunConfig,
        {"scenario": name, "hidden_size": 4, "population_size": len(work), "seed": 1}
        | {"team_spirit": team_spirit},
    )
    game = describe(load_scenario(name), config.num_agents_per_game)
    shape = population_of(config, game)
    network = shape.network
    agents = [fire_fighter(network, initial_state(network, 1, 0), logit) for logit in work]
    return Checkpoint("run", config, game, shape, agents, {}, {})


def fire_fighter(network, state: AgentState, work: float) -> AgentState:
    """An agent whose network does not look at what is hidden behind its query."""
    row = torch.zeros(1, network.num_parameters)
    bias = network.views(row)["heads.bias"][0]
    # Features of a house are safe, burning, ruined, ...: the query's first entries.
    bias[:3] = torch.tensor([-PULL, PULL, -PULL])
    bias[network.query_size + network.action_nvec[0] + 1] = work
    return replace(state, parameters=row[0].numpy())


def test_agents_that_are_alike_gain_nothing_at_all_by_each_others_place():
    found = replacement.gains(population([0.0] * 7), together=7, games=12)
    assert len(found) == 6, "all but the median agent"
    assert all(gain.mean == 0 and gain.error == 0 for gain in found), "the same draws fall"


def test_an_agent_that_never_works_is_found_and_no_other():
    saved = population([0.0, 0.0, -99.0, 0.0, 0.0, 0.0, 0.0, 0.0], team_spirit=1.0)
    first, *others = replacement.gains(saved, together=8, games=80)
    assert first.agent == 2
    assert first.mean > first.interval(together=8) > 0
    assert all(gain.mean <= gain.interval(together=8) for gain in others)


@pytest.mark.parametrize(
    ("work", "median"), [([99, -99, 99, 8, -99], 3), ([8, -99, 99, 99, -99, 8.5], 0)]
)
def test_the_median_agent_is_the_one_between_the_better_and_the_worse(work, median):
    # Nothing burns there, and work costs an agent a little.
    saved = population(work, name="trivial_cooperation")
    assert replacement.median_agent(saved, 400, np.random.default_rng(0)) == median


@pytest.mark.parametrize("spirit", [0.0, 0.25, 1.0])
def test_what_counts_is_what_the_agents_were_trained_for(spirit):
    seats = np.tile([0, 1, 2, 3], (20, 1))
    own = replacement.discounted_returns(population([0.0, 0.0, -99.0, 0.0]), seats, 5)
    found = replacement.discounted_returns(population([0.0, 0.0, -99.0, 0.0], spirit), seats, 5)
    assert own.std(axis=1).max() > 0, "seats own different houses"
    for game, returns in zip(own, found, strict=True):
        team = sum(game) / 4
        assert returns == pytest.approx([(1 - spirit) * mine + spirit * team for mine in game])


def test_a_games_draws_do_not_depend_on_who_plays_the_others():
    saved = population([0.0, 0.0, -99.0, 0.0])
    seats = np.array([[0, 1, 3, 0], [0, 1, 2, 3], [3, 0, 2, 1]])
    changed = seats.copy()
    changed[2] = 2
    one, other = (replacement.discounted_returns(saved, cast, 5) for cast in (seats, changed))
    assert np.array_equal(one[:2], other[:2])
    assert not np.array_equal(one[2], other[2])


@pytest.mark.parametrize(("together", "errors"), [(1, 1.645), (8, 2.498), (384, 3.651)])
def test_intervals_hold_for_all_comparisons_at_once(together, errors):
    # Quantiles of the normal distribution: of 1 - 0.05 / together.
    gain = replacement.Gain(0, 0.0, 2.0)
    assert gain.interval(together) == pytest.approx(2 * errors, abs=2e-3)
