"""Brigade's own game as a trainer sees it: its description, its lanes, its capabilities."""

import json
import math

import numpy as np
import pytest

import brigade
from brigade.games import build
from brigade.games.bucket_brigade import BucketBrigade, describe, scenario_of
from brigade.games.vector import (
    Activities,
    ComponentMasks,
    DefaultActions,
    ExploringStarts,
    Saves,
    Timed,
)

TWO_PHASE = brigade.load_scenario("default", commitment_mode="two_phase", min_nights=2)
GAMES, SEATS, NIGHTS = 5, 3, 4
WRONG_NUMBERS = (0, 2.5, "2", True, math.inf, 10**9)
ARGUMENTS = build.described(describe(brigade.load_scenario("easy"), 2))["arguments"]


def test_a_description_survives_json_and_builds_the_same_game():
    spec = describe(brigade.load_scenario("hard", num_houses=7, name="a town"), SEATS)
    back = build.read(json.loads(json.dumps(build.described(spec))))
    assert back == spec
    assert scenario_of(back) == brigade.load_scenario("hard", num_houses=7)
    assert (back.name, back.num_seats, back.role.action_nvec) == ("a town", SEATS, (7, 2, 2))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "chess"},
        {"version": 2},
        {"version": True},
        {"name": 5},
        {"more": 1},
        {"arguments": {}},
        {"arguments": 5},
        *(
            {"arguments": ARGUMENTS | {"num_seats": n}}
            for n in (0, 2.5, "2", True, math.inf, 10**9)
        ),
        {"arguments": ARGUMENTS | {"scenario": {"no_such_parameter": 1}}},
        {"arguments": ARGUMENTS | {"scenario": 5}},
    ],
    ids=str,
)
def test_a_description_of_something_else_is_refused(change):
    description = build.described(describe(brigade.load_scenario("easy"), 2))
    with pytest.raises(ValueError):  # noqa: PT011
        build.read(description | change)


def test_it_can_do_all_that_a_game_may_do():
    game = build.build(describe(TWO_PHASE, SEATS), GAMES, max_turns=NIGHTS, seed=1)
    capabilities = (Activities, ComponentMasks, DefaultActions, ExploringStarts, Saves, Timed)
    assert all(isinstance(game, capability) for capability in capabilities)


@pytest.mark.parametrize("scenario", [TWO_PHASE, brigade.load_scenario("default", min_nights=2)])
def test_lanes_are_the_seats_of_the_batched_environment(scenario):
    rng = np.random.default_rng(3)
    game = BucketBrigade(describe(scenario, SEATS), GAMES, NIGHTS, seed=9)
    env = brigade.BatchedEnv(GAMES, scenario, SEATS, NIGHTS, seed=9)
    game.reset()
    env.reset()
    ended = 0
    for _ in range(60):
        [seen] = game.observations
        assert np.array_equal(seen, env.observations.reshape(GAMES * SEATS, -1))
        actions = rng.integers(0, env.action_nvec, (GAMES, SEATS, 3)).astype(np.int32)
        lanes = actions.reshape(-1, 3)
        expected = env.default_outcomes(actions)
        found = game.default_outcomes(lanes)
        assert np.array_equal(found.rewards, expected.rewards.reshape(-1, SEATS))
        assert np.array_equal(found.observations, expected.observations.reshape(len(lanes), -1))
        in_signal_step = env.phases.repeat(SEATS) == 1
        assert np.array_equal(game.takes_time(), ~in_signal_step)
        [mask] = game.component_mask([lanes])
        assert mask[:, 2].all()
        assert np.array_equal(mask[:, 1], ~in_signal_step)
        assert np.array_equal(mask[:, 0], ~in_signal_step & (lanes[:, 1] == 1))
        step = game.step([lanes])
        env.step(actions)
        assert np.array_equal(step.rewards, env.rewards.ravel())
        assert np.array_equal(step.terminated, env.terminated.repeat(SEATS))
        assert np.array_equal(step.truncated, env.truncated.repeat(SEATS))
        over = np.flatnonzero(env.terminated | env.truncated)
        assert np.array_equal(step.ended, over)
        assert np.array_equal(step.returns, env.returns[over])
        assert np.array_equal(step.lengths, env.lengths[over])
        [last] = step.final_observations
        last = last.reshape(GAMES, SEATS, -1)[over]
        assert np.array_equal(last, env.final_observations[over])
        ended += len(over)
    assert ended > 20
