"""Every figure against the game written out in full, for games small enough."""

import numpy as np
import pytest
from joint_enumeration import BURNING, JointGame

from brigade import Scenario
from brigade.optimum import (
    CountGame,
    OptimalTeam,
    evaluate,
    random_play,
    resting,
    solve_game,
    spread_out,
)

PLAIN = {
    "num_houses": 2,
    "min_nights": 2,
    "prob_house_catches_fire": 0.2,
    "prob_solo_agent_extinguishes_fire": 0.6,
    "team_reward_house_survives": 10.0,
    "team_penalty_house_burns": 12.0,
    "reward_own_house_survives": 5.0,
    "reward_other_house_survives": 1.0,
    "penalty_own_house_burns": 4.0,
    "penalty_other_house_burns": 0.5,
    "cost_to_work_one_night": 0.5,
}
SHAPED = {
    **PLAIN,
    "progress_shaping_coef": 1.5,
    "action_shaping_alpha": 2.0,
    "action_shaping_beta": 1.75,
    "team_welfare_kind": "team_welfare_closed_form",
    "team_welfare_lambda": 0.7,
    "team_welfare_gamma": 0.9,
}
CASES = {
    "plain": (PLAIN, 2),
    "shaped": (SHAPED, 2),
    "may end at once": ({**SHAPED, "min_nights": 0}, 2),
    "more seats than houses": (PLAIN, 3),
    "one seat": (SHAPED, 1),
    "uneven ownership": ({**PLAIN, "num_houses": 3, "min_nights": 1}, 2),
    "values that differ where houses do not": (
        {
            **PLAIN,
            "reward_own_house_survives": [5.0, 7.0],
            "reward_other_house_survives": [1.0, 3.0],
        },
        2,
    ),
    "ruin is good": (
        {**PLAIN, "team_reward_house_survives": -10.0, "team_penalty_house_burns": -20.0},
        2,
    ),
    "work pays": ({**PLAIN, "cost_to_work_one_night": -1.0, "reward_rest": 0.25}, 2),
    "reach that reaches all": (
        {**PLAIN, "num_houses": 3, "min_nights": 1, "action_validity_mode": "adjacent_only"},
        2,
    ),
    "certain workers": ({**PLAIN, "prob_solo_agent_extinguishes_fire": 1.0}, 2),
    "best to go on for ever": (
        {
            **PLAIN,
            "prob_solo_agent_extinguishes_fire": 1.0,
            "team_reward_house_survives": -10.0,
            "team_penalty_house_burns": -20.0,
        },
        2,
    ),
    "houses always burn": ({**PLAIN, "prob_house_catches_fire": 1.0}, 2),
}


@pytest.fixture(scope="module", params=CASES, ids=[name.replace(" ", "-") for name in CASES])
def pair(request):
    parameters, num_agents = CASES[request.param]
    scenario = Scenario(**parameters)
    return JointGame(scenario, num_agents), CountGame.from_scenario(scenario, num_agents)


def test_best_discounted_return_is_that_of_the_whole_game(pair):
    joint, game = pair
    optimum = solve_game(game, 0.95)
    assert optimum.value == pytest.approx(joint.best_discounted(0.95), abs=1e-7)
    assert optimum.error_bound < 1e-7


def test_best_reward_per_night_is_that_of_the_whole_game(pair):
    joint, game = pair
    optimum = solve_game(game, objective="per-night")
    assert optimum.value == pytest.approx(joint.best_per_night(), abs=1e-7)
    assert optimum.error_bound < 1e-7


@pytest.mark.parametrize("objective", ["discounted", "per-night"])
def test_policy_is_worth_the_optimum(pair, objective):
    _, game = pair
    optimum = solve_game(game, 0.95, objective)
    worth = evaluate(game, optimum.policy, 0.95)
    assert worth == optimum.worth
    reached = worth.discounted_return if objective == "discounted" else worth.reward_per_night
    assert reached == pytest.approx(optimum.value, abs=1e-7)


def test_random_play_has_its_exact_value(pair):
    joint, game = pair
    value = evaluate(game, random_play(game), 0.95)
    # Where games may never end, the linear system for whole games has no solution.
    if np.isfinite(value.nights_per_game):
        discounted, per_night = joint.value(joint.random_chances(), 0.95)
        assert value.discounted_return == pytest.approx(discounted, abs=1e-8)
        assert value.reward_per_night == pytest.approx(per_night, abs=1e-8)


def test_resting_has_its_exact_value(pair):
    joint, game = pair
    everyone_rests = joint.scripted_chances(lambda _, __: ((0, 0),) * joint.num_agents)
    value = evaluate(game, resting(game), 0.95)
    discounted, per_night = joint.value(everyone_rests, 0.95)
    assert value.discounted_return == pytest.approx(discounted, abs=1e-8)
    assert value.reward_per_night == pytest.approx(per_night, abs=1e-8)


def test_spread_out_team_has_its_exact_value(pair):
    joint, game = pair

    def script(_, houses):
        fires = [index for index, house in enumerate(houses) if house == BURNING]
        return tuple(
            (fires[seat % len(fires)], 1) if fires else (0, 0) for seat in range(joint.num_agents)
        )

    value = evaluate(game, spread_out(game), 0.95)
    if np.isfinite(value.nights_per_game):
        discounted, per_night = joint.value(joint.scripted_chances(script), 0.95)
        assert value.discounted_return == pytest.approx(discounted, abs=1e-8)
        assert value.reward_per_night == pytest.approx(per_night, abs=1e-8)


def test_optimal_team_plays_the_optimum(pair):
    joint, game = pair
    optimum = solve_game(game, 0.95)
    layout = {
        "houses": slice(0, 3 * game.num_houses),
        "seat": slice(100, 100 + game.num_agents),
        "night": slice(200, 202),
    }
    team = OptimalTeam(optimum, layout)

    def script(night, houses):
        seats = np.arange(joint.num_agents)
        rows = np.tile(houses, (joint.num_agents, 1))
        actions = team.actions(rows, np.full(joint.num_agents, night), seats)
        return tuple((int(house), int(mode)) for house, mode, _ in actions)

    discounted = joint.start @ np.linalg.solve(
        np.eye(len(joint.states))
        - 0.95 * np.einsum("sa,sat->st", joint.scripted_chances(script), joint.moves),
        np.einsum("sa,sa->s", joint.scripted_chances(script), joint.rewards),
    )
    assert discounted == pytest.approx(optimum.value, abs=1e-7)


def test_best_team_may_go_on_for_ever():
    parameters, num_agents = CASES["best to go on for ever"]
    game = CountGame.from_scenario(Scenario(**parameters), num_agents)
    assert solve_game(game, objective="per-night").worth.nights_per_game == np.inf
