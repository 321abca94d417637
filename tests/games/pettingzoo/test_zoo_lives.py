"""Agents that die, are cut, come late, leave and return, and games with mixed ends, as lanes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_lives import ParallelLives, TurnLives

from brigade.games.pettingzoo.arrays import Arrays
from brigade.games.pettingzoo.description import describe
from brigade.games.pettingzoo.finding import find
from brigade.games.pettingzoo.game import Settings, episode_seed
from brigade.games.pettingzoo.parallel_game import ParallelGame
from brigade.games.pettingzoo.side_by_side import SideBySide
from brigade.games.pettingzoo.turn_game import TurnGame

LIVES = {"dies": "aat...", "cut": "aaaau.", "late": ".aaaat", "returns": "au.aau"}
# 10 for each agent before it, and 1 for each step before.
REWARDS = {agent: [10.0 * i + t for t in range(6)] for i, agent in enumerate(LIVES)}
NOBODY = (0, 0, 0, 0)


def lanes(env, max_steps=None, **more):
    """A game of one environment, which is handed over each time that one is made."""
    maker = find(lambda: env)
    kind = TurnGame if isinstance(env, TurnLives) else ParallelGame
    seating = describe(maker).seating
    getattr(env, "script", env).forget()  # what describing it did
    game = kind(maker, seating, Settings(max_steps=max_steps, **more))
    game.reset()
    return game


class Row(NamedTuple):
    """What a step led to: of seats, numbers or those by index."""

    active: tuple
    sees: dict
    rewards: tuple
    terminated: tuple = NOBODY
    truncated: tuple = NOBODY
    finals: Mapping = MappingProxyType({})
    ended: bool = False


def history(game, steps):
    rows = []
    for _ in range(steps):
        outcome = game.step([[0]] * len(game.active))
        over = outcome.terminated | outcome.truncated
        rows.append(
            Row(
                tuple(game.active),
                {s: tuple(game.rows.observations[s]) for s in np.flatnonzero(game.active)},
                tuple(outcome.rewards),
                tuple(outcome.terminated),
                tuple(outcome.truncated),
                {s: tuple(game.rows.finals[s]) for s in np.flatnonzero(over)},
                outcome.ended,
            )
        )
    return rows


BEGIN = (1, 1, 0, 1)
PARALLEL = [
    Row(
        active=(1, 1, 1, 0),
        sees={0: (0, 1), 1: (1, 1), 2: (2, 1)},
        rewards=(1, 11, 21, 31),
        truncated=(0, 0, 0, 1),
        finals={3: (3, 1)},
    ),
    Row(
        active=(0, 1, 1, 0),
        sees={1: (1, 2), 2: (2, 2)},
        rewards=(2, 12, 22, 0),
        terminated=(1, 0, 0, 0),
        finals={0: (0, 2)},
    ),
    Row(
        active=(0, 1, 1, 1),
        sees={1: (1, 3), 2: (2, 3), 3: (3, 3)},
        rewards=(0, 13, 23, 33),
    ),
    Row(
        active=(0, 0, 1, 1),
        sees={2: (2, 4), 3: (3, 4)},
        rewards=(0, 14, 24, 34),
        truncated=(0, 1, 0, 0),
        finals={1: (1, 4)},
    ),
    Row(
        active=BEGIN,
        sees={0: (0, 0), 1: (1, 0), 3: (3, 0)},
        rewards=(0, 0, 25, 35),
        terminated=(0, 0, 1, 0),
        truncated=(0, 0, 0, 1),
        finals={2: (2, 5), 3: (3, 5)},
        ended=True,
    ),
]
# One turn a step, in the order above among those that are there. What an agent gets between its
# turns reaches it with the next.
TURNS = [
    Row(
        active=(0, 1, 0, 0),
        sees={1: (1, 1)},
        rewards=(0, 11, 0, 31),
        truncated=(0, 0, 0, 1),
        finals={3: (3, 1)},
    ),
    Row(
        active=(0, 0, 1, 0),
        sees={2: (2, 2)},
        rewards=(1 + 2, 0, 21 + 22, 0),
        terminated=(1, 0, 0, 0),
        finals={0: (0, 2)},
    ),
    Row(active=(0, 0, 0, 1), sees={3: (3, 3)}, rewards=(0, 0, 0, 33)),
    Row(
        active=(0, 0, 1, 0),
        sees={2: (2, 4)},
        rewards=(0, 12 + 13 + 14, 23 + 24, 0),
        truncated=(0, 1, 0, 0),
        finals={1: (1, 4)},
    ),
    Row(
        active=(1, 0, 0, 0),
        sees={0: (0, 0)},
        rewards=(0, 0, 25, 34 + 35),
        terminated=(0, 0, 1, 0),
        truncated=(0, 0, 0, 1),
        finals={2: (2, 5), 3: (3, 5)},
        ended=True,
    ),
]


@pytest.mark.parametrize(("kind", "expected"), [(ParallelLives, PARALLEL), (TurnLives, TURNS)])
def test_lanes_have_the_history_of_the_script(kind, expected):
    game = lanes(kind(LIVES, REWARDS))
    assert history(game, 5) == expected
    assert history(game, 5) == expected  # the next episode is the same
    assert not game.oddities.counts


def test_actions_go_to_the_living_only():
    env = ParallelLives(LIVES, REWARDS)
    history(lanes(env), 5)
    assert env.received[0] == [
        ["dies", "cut", "returns"],
        ["dies", "cut", "late"],
        ["cut", "late"],
        ["cut", "late", "returns"],
        ["late", "returns"],
    ]
    env = TurnLives(LIVES, REWARDS)
    history(lanes(env), 5)
    assert env.script.received[0] == [["dies"], ["cut"], ["late"], ["returns"], ["late"]]


@pytest.mark.parametrize(
    ("kind", "rewards"), [(ParallelLives, (2, 12, 22, 0)), (TurnLives, (3, 12, 43, 0))]
)
def test_a_limit_truncates_who_is_alive_and_ends_the_game(kind, rewards):
    """What others are still owed in a turn-based game is theirs: 12, which came on a later turn."""
    game = lanes(kind(LIVES, REWARDS), max_steps=2)
    last = history(game, 2)[-1]
    assert last.active == (BEGIN if kind is ParallelLives else (1, 0, 0, 0))
    assert last.rewards == rewards
    assert (last.terminated, last.truncated) == ((1, 0, 0, 0), (0, 1, 1, 0))
    assert last.finals == {0: (0, 2), 1: (1, 2), 2: (2, 2)}
    assert last.ended
    game.step([[0]] * 4)
    outcome = game.step([[0]] * 4)
    assert outcome.cut
    assert outcome.length == 2


@st.composite
def scripts(draw):
    """Lives of up to four agents in up to eight steps, of whom one is there at the beginning."""
    length = draw(st.integers(2, 8))
    lives, rewards = {}, {}
    for number in range(draw(st.integers(1, 4))):
        life = "a" if number == 0 or draw(st.booleans()) else "."
        for _ in range(length):
            life += draw(st.sampled_from("aaaatu" if life[-1] == "a" else "..a"))
        lives[f"agent_{number}"] = life + "."
        values = st.integers(-8, 8).map(lambda eighths: eighths / 8)  # whose sums are exact
        rewards[f"agent_{number}"] = draw(
            st.lists(values, min_size=length + 2, max_size=length + 2)
        )
    # In the end, all that are there end; nobody comes only to end.
    for agent, life in lives.items():
        last = life[-2] if life[-2] != "a" else "t" if life[-3] == "a" else "."
        lives[agent] = life[:-2] + last + "."
    return lives, rewards


@pytest.mark.parametrize("kind", [ParallelLives, TurnLives])
@given(script=scripts(), limit=st.none() | st.integers(1, 5))
@settings(max_examples=80)
def test_no_reward_is_lost_or_given_twice(kind, script, limit):
    env = kind(*script)
    game = lanes(env, max_steps=limit)
    told = getattr(env, "script", env)
    for episode in range(2):
        total, ended = np.zeros(len(game.active)), False
        while not ended:
            outcome = game.step([[1]] * len(game.active))
            total += outcome.rewards
            ended = outcome.ended
        assert total.tolist() == outcome.returns.tolist() == list(told.handed[episode].values())
        assert outcome.length == len(told.received[episode])
    assert not game.oddities.counts


@given(script=scripts())
@settings(max_examples=80)
def test_lanes_live_as_the_script_says(script):
    env = ParallelLives(*script)
    game = lanes(env)
    for _ in range(2):
        ended = False
        while not ended:
            there = [life[env.t] == "a" for life in script[0].values()]
            assert game.active.tolist() == there
            t = env.t + 1
            outcome = game.step([[1]] * len(there))
            ended = outcome.ended
            assert outcome.terminated.tolist() == [life[t] == "t" for life in script[0].values()]
            assert outcome.truncated.tolist() == [life[t] == "u" for life in script[0].values()]
            for seat in np.flatnonzero(outcome.terminated | outcome.truncated):
                assert game.rows.finals[seat].tolist() == [seat, t]


def test_every_episode_has_a_seed_of_its_own_and_fresh_games_have_fresh_environments():
    made = []

    def make():
        made.append(ParallelLives(LIVES, REWARDS))
        return made[-1]

    for fresh in (False, True):
        made.clear()
        description = describe(find(make))
        games = SideBySide(find(make), description, 2, Settings(seed=5, fresh=fresh))
        games.reset()
        for _ in range(10):
            games.step([np.zeros((2, len(role.seats), 1), int) for role in games.roles])
        expected = [[episode_seed(5, game, episode) for episode in range(3)] for game in (0, 1)]
        assert len({seed for seeds in expected for seed in seeds}) == 6
        seeds = [env.seeds for env in made[1:]]  # the first was made for its description
        if fresh:
            assert sorted(map(tuple, seeds)) == sorted((seed,) for e in expected for seed in e)
        else:
            assert seeds == expected


def test_side_by_side_is_each_game_alone():
    maker = find(lambda: ParallelLives(LIVES, REWARDS))
    games = SideBySide(maker, describe(maker), 3)
    games.reset()
    roles = [role.name for role in games.roles]
    assert roles == ["dies", "cut", "late", "returns"]
    alone = lanes(ParallelLives(LIVES, REWARDS))
    for t in range(1, 11):
        step = games.step([np.zeros((3, 1, 1), int)] * 4)
        outcome = alone.step([[0]] * 4)
        assert games.active.tolist() == alone.active.tolist() * 3
        assert step.rewards.tolist() == outcome.rewards.tolist() * 3
        assert step.terminated.tolist() == outcome.terminated.tolist() * 3
        assert step.truncated.tolist() == outcome.truncated.tolist() * 3
        for seat in range(4):
            assert (games.observations[seat] == alone.rows.observations[seat]).all()
            assert (games.final_observations[seat] == alone.rows.finals[seat]).all()
        assert step.ended.tolist() == ([0, 1, 2] if t % 5 == 0 else [])
        assert step.returns.tolist() == [outcome.returns.tolist()] * len(step.ended)
        assert step.lengths.tolist() == [5] * len(step.ended)


def test_games_in_arrays_that_others_have_left_begin_with_the_next_episodes():
    maker = find(lambda: ParallelLives(LIVES, REWARDS))
    description = describe(maker)
    arrays = Arrays.of(description.seating, 2)
    arrays.episodes[:] = 3, 7
    for mask in arrays.masks:
        mask[:] = False
    made = []
    maker = find(lambda: made.append(ParallelLives(LIVES, REWARDS)) or made[-1])
    games = SideBySide(maker, description, 2, Settings(seed=5), arrays=arrays, first_game=4)
    games.reset()
    assert [env.seeds for env in made] == [[episode_seed(5, 4, 4)], [episode_seed(5, 5, 8)]]
    assert arrays.episodes.tolist() == [4, 8]
    assert all(mask.all() for mask in games.masks)
