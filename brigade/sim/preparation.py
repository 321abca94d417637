"""What a run needs before it begins, from its settings and the description of its game."""

from __future__ import annotations

from brigade import seeds
from brigade.config import RunConfig
from brigade.games.build import build
from brigade.games.spec import GameSpec
from brigade.games.vector import HERE, Playing, VectorGame
from brigade.policy.build import population_for
from brigade.policy.population import Population
from brigade.sim.matchmaking import population_sizes


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
