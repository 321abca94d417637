"""Scripted agents do what the rules say of them, in the stated frequencies."""

import json
from pathlib import Path

import numpy as np
import pytest
from core_arrays import Arrays

from brigade._core import (
    ARCHETYPES,
    Heuristics,
    Scenario,
    heuristic_actions,
    num_features,
    observation_layout,
)

ROOT = Path(__file__).parents[2]
GAMES = 20_000
# Frequencies lie within 4.5 standard deviations of what is expected: with fixed seeds, these
# pass for ever; with others, about one in 100,000 would not.
DEVIATIONS = 4.5


def observations(burning, games=GAMES, num_agents=4):
    """Observations of games in which these houses burn and the rest is safe."""
    rows = np.zeros((games, num_agents, num_features("default", num_agents)), np.float32)
    layout = observation_layout("default", num_agents)
    states = np.zeros((10, 3))
    states[:, 0] = 1
    states[list(burning)] = [0, 1, 0]
    rows[:, :, layout["houses"]] = states.ravel()
    rows[:, :, layout["seat"]] = np.eye(num_agents)
    return rows


def check_share(hits, expected):
    """Whether the share of hits fits an expected probability."""
    tolerance = DEVIATIONS * np.sqrt(max(expected * (1 - expected), 1e-12) / hits.size) + 1e-6
    assert abs(hits.mean() - expected) <= tolerance


def test_archetypes_are_those_of_the_file():
    file = json.loads((ROOT / "brigade-rs" / "archetypes.json").read_text())
    assert file == ARCHETYPES
    assert list(ARCHETYPES) == ["firefighter", "free_rider", "hero", "coordinator", "liar"]


@pytest.mark.parametrize("name", ARCHETYPES)
@pytest.mark.parametrize("burning", [(), (1,), (0, 1, 2, 3), (5, 7), (2, 5, 6, 9)])
def test_archetypes_act_in_the_frequencies_of_the_rules(name, burning):
    p = ARCHETYPES[name]
    works = p[1] * (1 - p[8])
    agents = Heuristics("default", 4, [p] * 4, seed=5)
    actions = agents.act(observations(burning))
    assert actions.shape == (GAMES, 4, 3)
    assert actions.dtype == np.int32
    house, mode, signal = np.moveaxis(actions, 2, 0)
    check_share(mode == 1, works)
    check_share(mode == signal, p[0])
    for seat in range(4):
        mine, working = house[:, seat], mode[:, seat] == 1
        assert (mine[~working] == seat).all()
        if not burning:
            assert (mine == seat).all()
        if not working.any():
            continue
        for target in range(10):
            share = 1 / len(burning) if target in burning else 0.0
            if seat in burning:
                share = p[3] * (target == seat) + (1 - p[3]) * share
            if burning:
                check_share(mine[working] == target, share)


def test_each_seat_and_each_game_may_have_its_own_parameters():
    rows = observations((), games=600)
    by_seat = [ARCHETYPES["hero"], ARCHETYPES["free_rider"], [0.0] * 10, [1.0] * 10]
    mode = Heuristics("default", 4, by_seat).act(rows)[:, :, 1]
    assert (mode[:, 0] == 1).all()
    assert mode[:, 1].mean() < 0.1
    assert not mode[:, 2:].any()
    by_game = np.zeros((600, 4, 10))
    by_game[::2, :, 1] = 1.0
    agents = Heuristics("default", 4, by_game)
    mode = agents.act(rows)[:, :, 1]
    assert (mode[::2] == 1).all()
    assert not mode[1::2].any()
    with pytest.raises(ValueError, match="parameters are for 2400 seats, observations for 2396"):
        agents.act(rows[:-1])


def test_spread_agents_spread_over_the_fires():
    agents = Heuristics("default", 4, kind="spread")
    for burning in [(3,), (2, 7), (1, 4, 8), (0, 2, 4, 6), (0, 1, 2, 3, 4, 5)]:
        actions = agents.act(observations(burning, games=2))
        for seat in range(4):
            wanted = [burning[seat % len(burning)], 1, 1]
            assert actions[:, seat].tolist() == [wanted] * 2
    resting = agents.act(observations((), games=2))
    assert resting.tolist() == [[[seat, 0, 0] for seat in range(4)]] * 2


def test_random_agents_take_every_action_alike():
    actions = Heuristics("default", 4, kind="random", seed=3).act(observations((2,)))
    for house in range(10):
        check_share(actions[:, :, 0] == house, 0.1)
    check_share(actions[:, :, 1] == 1, 0.5)
    check_share(actions[:, :, 2] == 1, 0.5)
    for first, second in [(1, 2), (0, 1), (0, 2)]:
        pair = np.corrcoef(actions[:, :, first].ravel(), actions[:, :, second].ravel())
        assert abs(pair[0, 1]) < 0.02


def test_seats_are_known_by_their_observation():
    rows = observations((2, 7), games=3)
    forwards = Heuristics("default", 4, kind="spread").act(rows)
    backwards = Heuristics("default", 4, kind="spread").act(rows[:, ::-1].copy())
    assert backwards.tolist() == forwards[:, ::-1].tolist()


def test_in_a_ring_smaller_than_the_team_seats_share_houses():
    scenario = Scenario(num_houses=2)
    arrays = Arrays(scenario, 50, 5, 100, range(50))
    agents = Heuristics(scenario, 5, [ARCHETYPES["hero"]] * 5)
    arrays.batch.write_observations(arrays.observations)
    for _ in range(50):
        arrays.step(agents.act(arrays.observations))


def test_a_seed_decides_everything_and_a_state_restores_it():
    rows = observations((1, 2), games=50)
    make = lambda seed: Heuristics("default", 4, [ARCHETYPES["liar"]] * 4, seed)  # noqa: E731
    first, second, other = make(1), make(1), make(2)
    once = first.act(rows)
    assert once.tolist() == second.act(rows).tolist()
    assert once.tolist() != other.act(rows).tolist()
    assert once.tolist() != first.act(rows).tolist()
    other.set_state(first.get_state())
    assert other.act(rows).tolist() == first.act(rows).tolist()
    for bad in (b"", b"x" * 33, bytes(32), None):
        with pytest.raises(ValueError, match="state"):
            first.set_state(bad)


def test_the_function_does_what_the_class_does():
    rows = observations((1, 2), games=50)
    flat = rows.reshape(200, -1)
    p = ARCHETYPES["coordinator"]
    wanted = Heuristics("default", 4, [p] * 4, 7).act(rows).reshape(200, 3)
    for parameters in (p, [p] * 200):
        actions = heuristic_actions("default", 4, parameters, flat, 7)
        assert actions.tolist() == wanted.tolist()
    wanted = Heuristics("default", 4, seed=7, kind="random").act(rows).reshape(200, 3)
    assert heuristic_actions("default", 4, None, flat, 7, "random").tolist() == wanted.tolist()
    one = heuristic_actions("default", 4, p, flat[3:4], 7)
    assert one.shape == (1, 3)
    assert heuristic_actions("default", 4, p, flat[:0], 7).shape == (0, 3)
    with pytest.raises(ValueError, match="parameters must be numbers of shape"):
        heuristic_actions("default", 4, [p] * 3, flat, 7)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"parameters": None}, 'parameters are missing: kind "archetype" needs them'),
        ({"parameters": [[0.5] * 9] * 4}, r"shape \[4, 10\] or \[games, 4, 10\], not \[4, 9\]"),
        ({"parameters": [[0.5] * 10] * 3}, "parameters must be numbers of shape"),
        ({"parameters": np.zeros((0, 4, 10))}, "parameters must be 10 numbers"),
        ({"parameters": [[1.5] * 10] * 4}, r"parameters must be numbers in \[0, 1\], not 1\.5"),
        ({"parameters": [[np.nan] * 10] * 4}, "parameters must be numbers in"),
        ({"parameters": "hero"}, "parameters must be numbers of shape"),
        ({"parameters": [["a"] * 10] * 4}, "parameters must be numbers of shape"),
        ({"kind": "sprad"}, 'kind must be one of .*did you mean "spread"'),
        ({"kind": 3}, "kind must be a text"),
        ({"seed": -1}, "seed must be"),
        ({"num_agents": 0}, "num_agents must be"),
        ({"scenario": None}, "scenario must be"),
    ],
)
def test_bad_arguments_are_refused(changes, sentence):
    arguments = {"scenario": "default", "num_agents": 4, "parameters": [[0.5] * 10] * 4, "seed": 0}
    Heuristics(**arguments)
    with pytest.raises(ValueError, match=sentence):
        Heuristics(**(arguments | changes))


def test_bad_observations_are_refused():
    agents = Heuristics("default", 4, [[0.5] * 10] * 4)
    rows = observations((1,), games=2)
    assert agents.act(rows[:0]).shape == (0, 4, 3)
    before = agents.get_state()
    blind = rows.copy()
    blind[1, 2, observation_layout("default", 4)["seat"]] = 0
    for bad, sentence in [
        (blind, "row 6 of the observations does not say which seat it is of"),
        (np.full_like(rows, np.nan), "row 0"),
        (rows[:, :3], "observations must be a C-contiguous float32 array"),
        (rows[:, :, ::-1], "observations must be C-contiguous"),
        (rows.astype(np.float64), "observations must be"),
        (rows[0], "observations must be"),
        (None, "observations must be"),
        (3, "observations must be"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            agents.act(bad)
    assert agents.get_state() == before
