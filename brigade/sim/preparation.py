"""What a run needs before it begins, from its settings and the description of its game."""

from __future__ import annotations

from math import prod

import numpy as np

from brigade import seeds
from brigade.config import RunConfig
from brigade.games.build import build
from brigade.games.spec import GameSpec
from brigade.games.vector import HERE, Playing, VectorGame
from brigade.policy.build import population_for
from brigade.policy.population import Population
from brigade.ppo.rollout import Per, action_dtype, columns_for
from brigade.sim.matchmaking import population_sizes, steps_per_rollout


def games_of(config: RunConfig, game: GameSpec, playing: Playing = HERE) -> VectorGame:
    """Make the games that are played side by side; raises as :func:`build` does."""
    seed = seeds.number(int(config.seed or 0), seeds.Purpose.GAMES)
    return build(game, config.games, max_turns=config.max_turns, seed=seed, playing=playing)


def population_of(config: RunConfig, game: GameSpec) -> Population:
    """Shape the agents; ConfigError where their numbers do not fit the game's roles."""
    return population_for(
        game,
        population_sizes(config, game),
        config.hidden_size,
        squashed=config.squashed,
        state_dependent=config.state_dependent_deviation,
    )


def rollout_size(config: RunConfig, game: GameSpec) -> tuple[int, int]:
    """Transitions and bytes of a rollout of all agents, as far as each step has its own."""
    steps, transitions, num_bytes = steps_per_rollout(config, game), 0, 0
    for role in game.roles:
        columns = columns_for(config.advantages, masked=role.masked, pictures=bool(role.pictures))
        each = 0
        for name, column in columns.items():
            if column.per is Per.STEP:
                sizes = role.num_features, role.action_nvec, role.num_continuous
                shape = column.shape(*sizes, role.num_picture_bytes)
                dtype = action_dtype(role.action_nvec) if name == "actions" else column.dtypes
                each += prod(shape) * np.dtype(dtype).itemsize
        acting = steps * config.games * len(role.seats)
        acting //= game.num_seats if game.turn_based else 1
        transitions += acting
        num_bytes += acting * each
    return transitions, num_bytes
