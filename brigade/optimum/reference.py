"""The values to measure a learner against: the optimum of each kind, the scripts, random play."""

from __future__ import annotations

from brigade.optimum.evaluation import PolicyValue, evaluate
from brigade.optimum.game import CountGame, Parameters
from brigade.optimum.policy import random_play, resting, spread_out
from brigade.optimum.solver import solve_game

DISCOUNTED_OPTIMUM = "best discounted"
PER_NIGHT_OPTIMUM = "best per night"


def reference_values(
    scenario: Parameters,
    num_agents: int = 4,
    discount: float = 0.99,
    max_nights: int | None = None,
) -> dict[str, PolicyValue]:
    """Value the policies that learners are compared with, each under both objectives.

    Parameters
    ----------
    scenario
        A `brigade.Scenario`.
    num_agents
        Seats.
    discount
        Factor per night.
    max_nights
        Where given, games are cut after that many nights.

    Returns
    -------
    dict[str, PolicyValue]
        By the policies' names: ``random``, ``resting``, ``spread``, `DISCOUNTED_OPTIMUM` and
        `PER_NIGHT_OPTIMUM`.

    Raises
    ------
    ValueError
        Where the optimum cannot be had exactly; the sentence names the parameter.
    """
    game = CountGame.from_scenario(scenario, num_agents)
    return reference_values_of(game, discount, max_nights)


def reference_values_of(
    game: CountGame, discount: float = 0.99, max_nights: int | None = None
) -> dict[str, PolicyValue]:
    """Value them for a game in counts; see `reference_values`."""
    values = {
        policy.name: evaluate(game, policy, discount, max_nights)
        for policy in (random_play(game), resting(game), spread_out(game))
    }
    values[DISCOUNTED_OPTIMUM] = solve_game(game, discount, "discounted", max_nights).worth
    values[PER_NIGHT_OPTIMUM] = solve_game(game, discount, "per-night", max_nights).worth
    return values
