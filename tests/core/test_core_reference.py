"""The core plays as a second, slow implementation of the rules does."""

import numpy as np
from core_strategies import setups
from hypothesis import given, settings
from reference_game import Draws, ReferenceGame

from brigade._core import Engine


def test_reference_draws_the_published_numbers():
    draw = Draws(11)
    published = [0.92556322, 0.00996339, 0.72615612, 0.37692779, 0.95427018]
    np.testing.assert_allclose([draw() for _ in published], published, rtol=0, atol=5e-9)


@settings(max_examples=250, deadline=None)
@given(setups())
def test_every_night_is_the_reference_s(setup):
    engine = Engine(setup.scenario, setup.num_agents, setup.seed)
    game = ReferenceGame(setup.scenario.to_dict(), setup.num_agents, setup.seed)
    rng = np.random.default_rng(setup.seed)
    assert engine.houses.tolist() == game.houses
    for _ in range(25):
        actions = setup.actions(rng)
        signals = rng.integers(0, 2, setup.num_agents) if setup.two_phase else None
        rewards, done = engine.step(actions, signals)
        wanted, sizes, wanted_done = game.step(actions.tolist(), signals)
        assert done == wanted_done
        assert engine.night == game.night
        assert engine.houses.tolist() == game.houses
        assert engine.fire_progress.tolist() == game.progress
        assert engine.last_actions.tolist() == game.last_actions
        assert engine.positions.tolist() == [action[0] for action in game.last_actions]
        assert engine.signals.tolist() == [action[2] for action in game.last_actions]
        assert engine.round1_signals.tolist() == list(game.round1)
        assert np.all(np.abs(rewards - np.array(wanted)) <= 1e-5 * np.array(sizes) + 1e-30)
        if done:
            engine.reset()
            game.reset()
            assert engine.houses.tolist() == game.houses
