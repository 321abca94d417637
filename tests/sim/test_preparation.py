"""What is told of a run before it begins."""

from dataclasses import replace

import numpy as np

from brigade.config import RunConfig
from brigade.games.spec import GameSpec, Role
from brigade.ppo.rollout import Per, columns_for
from brigade.sim.matchmaking import steps_per_rollout
from brigade.sim.preparation import rollout_size
from brigade.sim.rollout import RolloutBuffer

CATS = Role("cat", (0, 1), 3, (4, 2), masked=True)
DOGS = Role("dog", (2,), 0, (), num_continuous=2, pictures=((20, 16, 3), (16, 16, 1)))
GAME = GameSpec("none", "none", {}, (CATS, DOGS))
CONFIG = RunConfig(env="none", advantages="gae", num_games=5, population_size=3, update_interval=7)


def test_a_rollout_is_as_large_as_the_buffers_that_hold_it():
    steps, transitions, num_bytes = steps_per_rollout(CONFIG, GAME), 0, 0
    for role, lanes in zip(GAME.roles, GAME.lanes(5), strict=True):
        columns = columns_for("gae", masked=role.masked, pictures=bool(role.pictures))
        buffer = RolloutBuffer(
            steps,
            len(lanes),
            role.num_features,
            role.action_nvec,
            columns,
            num_continuous=role.num_continuous,
            num_picture_bytes=role.num_picture_bytes,
        )
        assert set(buffer._columns) == {n for n, c in columns.items() if c.per is Per.STEP}
        transitions += steps * len(lanes)
        num_bytes += sum(column.nbytes for column in buffer._columns.values())
    assert rollout_size(CONFIG, GAME) == (transitions, num_bytes)


def test_of_a_turn_based_game_one_acts_at_a_time():
    transitions, num_bytes = rollout_size(CONFIG, replace(GAME, roles=(replace(CATS, seats=(0,)),)))
    role = replace(CATS, seats=(0, 1, 2))
    turns = GameSpec("none", "none", {}, (role,), turn_based=True)
    wanted = CONFIG.rollout_transitions * 3
    found = rollout_size(CONFIG, turns)
    assert wanted <= found[0] <= wanted + 3 * CONFIG.games
    assert np.isclose(found[1] / found[0], num_bytes / transitions)
