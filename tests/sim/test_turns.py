"""Games in which lanes wait, die and arrive, against a record kept lane by lane.

Whatever the game, each decision is learned from once, with all the reward that came before the
lane's next decision or its end, and with what followed.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brigade.config import RunConfig
from brigade.games.spec import GameSpec, Role
from brigade.games.vector import Step
from brigade.policy.build import population_for
from brigade.ppo.agents import initial_state
from brigade.ppo.rollout import columns_for
from brigade.sim.matchmaking import population_sizes, steps_per_rollout
from brigade.sim.repository import Repository
from brigade.sim.rollout import RolloutBuffer
from brigade.sim.rollout_worker import RolloutWorker

SEATS, GAMES = 3, 4
PLAYERS = (Role("player", tuple(range(SEATS)), 3, (4,), masked=True),)
# The second sees less, and has fewer choices.
BOTH = (Role("player", (0, 2), 3, (4,), masked=True), Role("other", (1,), 2, (3,), masked=True))
SPECS = [GameSpec("toy", "toy", {}, roles) for roles in (PLAYERS, BOTH)]
CONFIG = RunConfig(
    scenario="default", population_size=5, num_agents_per_game=SEATS, num_games=GAMES,
    hidden_size=4, batch_size=16, update_interval=4, num_epochs=2, advantages="gae", seed=1,
)  # fmt: skip


@dataclass
class Life:
    """A seat's part in one game: what it decided, and what came of it."""

    seen: list[tuple[float, ...]] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    open: list[list[bool]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    terminated: bool = False
    truncated: bool = False
    final: tuple[float, ...] = ()


class Toy:
    """Seats act when they like, get rewards at any time, and die or arrive in the middle."""

    num_games = GAMES

    def __init__(self, spec: GameSpec, seed: int, likely: float) -> None:
        self.spec, self.lanes = spec, spec.lanes(GAMES)
        self.rng, self.likely = np.random.default_rng(seed), likely
        self.lives: dict[int, list[Life]] = defaultdict(list)
        self.alive = np.zeros(GAMES * SEATS, bool)
        self.seen = np.zeros((GAMES * SEATS, 3), np.float32)
        self.choices = np.full(GAMES * SEATS, 4)
        self.features = np.full(GAMES * SEATS, 3)
        for role, lanes in zip(spec.roles, self.lanes, strict=True):
            self.features[lanes], self.choices[lanes] = role.num_features, role.action_nvec
        self.returns = np.zeros((GAMES, SEATS))
        self.handed_out = 0.0

    def reset(self) -> None:
        for game in range(GAMES):
            self._begin(game)
        self._look()

    def _begin(self, game: int) -> None:
        lanes = np.arange(SEATS) + game * SEATS
        self.alive[lanes] = self.rng.random(SEATS) < 0.7
        self.alive[lanes[0]] = True
        for lane in lanes:
            self.lives[lane].append(Life())

    def _look(self) -> None:
        """See new things, and find out whose turn it is: at least somebody's in each game."""
        self.seen[:] = self.rng.random(self.seen.shape)
        turn = self.alive & (self.rng.random(len(self.alive)) < self.likely)
        for game in range(GAMES):
            mine = slice(game * SEATS, (game + 1) * SEATS)
            if not turn[mine].any():
                turn[game * SEATS + int(np.flatnonzero(self.alive[mine])[0])] = True
        self.turn = turn
        self.open = self.rng.random((len(turn), 4)) < 0.5
        self.open[np.arange(len(turn)), self.rng.integers(0, self.choices)] = True

    def by_role(self, rows: np.ndarray) -> list[np.ndarray]:
        """Of what there is of each lane, that which its role has."""
        widths = self.features if rows is not self.open else self.choices
        return [rows[lanes, : widths[lanes[0]]] for lanes in self.lanes]

    @property
    def observations(self) -> list[np.ndarray]:
        return self.by_role(self.seen)

    def action_masks(self) -> list[np.ndarray]:
        return self.by_role(self.open)

    def active(self) -> np.ndarray:
        return self.turn

    def step(self, actions: Sequence[np.ndarray]) -> Step:
        chosen = np.zeros((GAMES * SEATS, 1), np.int32)
        for lanes, array in zip(self.lanes, actions, strict=True):
            chosen[lanes] = array
        for lane in np.flatnonzero(self.turn):
            life = self.lives[lane][-1]
            life.seen.append(tuple(self.seen[lane, : self.features[lane]].tolist()))
            life.actions.append(int(chosen[lane, 0]))
            life.open.append(self.open[lane, : self.choices[lane]].tolist())
            assert self.open[lane, life.actions[-1]]
            life.rewards.append(0.0)
        # Quarters add up without rounding.
        rewards = (self.rng.integers(-8, 8, len(self.alive)) / 4 * self.alive).astype(np.float32)
        for lane in np.flatnonzero(self.alive):
            life = self.lives[lane][-1]
            if life.rewards:  # else it is no action's
                life.rewards[-1] += float(rewards[lane])
        self.returns += rewards.reshape(GAMES, SEATS)
        ends = self.alive & (self.rng.random(len(self.alive)) < 0.1)
        died = self.rng.random(len(self.alive)) < 0.5
        over = [g for g in range(GAMES) if self.rng.random() < 0.1]
        over += [g for g in range(GAMES) if not (self.alive & ~ends)[g * SEATS :][:SEATS].any()]
        ended = np.unique(np.array(over, np.int64))
        for game in ended:
            lanes = np.arange(SEATS) + game * SEATS
            ends[lanes] = self.alive[lanes]
        final = self.rng.random(self.seen.shape).astype(np.float32)
        for lane in np.flatnonzero(ends):
            life = self.lives[lane][-1]
            life.terminated, life.truncated = bool(died[lane]), not died[lane]
            life.final = tuple(final[lane, : self.features[lane]].tolist())
        self.alive &= ~ends
        returns = self.returns[ended].copy()
        self.returns[ended] = 0
        for game in ended:
            self._begin(int(game))
        for game in set(range(GAMES)) - set(ended.tolist()):  # somebody arrives late
            for lane in np.arange(SEATS) + game * SEATS:
                life = self.lives[lane][-1]
                if not (life.seen or life.final or self.alive[lane]) and self.rng.random() < 0.2:
                    self.alive[lane] = True
        self._look()
        return Step(
            rewards, ends & died, ends & ~died, self.by_role(final), ended, returns,
            np.ones(len(ended), np.int32), np.zeros(len(ended), np.bool_),
        )  # fmt: skip


def worker_on(toy: Toy) -> tuple[RolloutWorker, RunConfig]:
    spec, config = toy.spec, CONFIG
    if len(spec.roles) > 1:
        config = msgspec.structs.replace(CONFIG, population_size={"player": 3, "other": 2})
    population = population_for(spec, population_sizes(config, spec), config.hidden_size)
    repository = Repository(population)
    for agent in range(population.size):
        repository.add(agent, initial_state(population.network_of(agent), 1, agent))
    repository.act_with(dict.fromkeys(range(population.size), 0))
    return RolloutWorker(config, toy, repository, 1), config


def played(toy: Toy, rollouts: int) -> list[dict[str, Any]]:
    """Play so many rollouts; all agents' arrays, rollout by rollout."""
    worker, config = worker_on(toy)
    found, acted = [], 0
    for _ in range(rollouts):
        for _ in range(steps_per_rollout(config, toy.spec)):
            worker.step()
            acted += worker.acted
        worker.cut()
        found += [worker.arrays(agent) for agent in range(config.num_agents)]
        worker.clear()
    assert acted == sum(len(life.seen) for lives in toy.lives.values() for life in lives)
    return found


@pytest.mark.parametrize("spec", SPECS, ids=["one role", "two roles"])
@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), likely=st.sampled_from([0.1, 0.5, 1.0]))
def test_each_decision_is_learned_from_once_with_all_that_came_of_it(spec, seed, likely):
    toy = Toy(spec, seed, likely)
    found = played(toy, 4)
    lives = [life for each in toy.lives.values() for life in each if life.seen]
    next_seen, last_of, reward_of, done = {}, {}, {}, {}
    for life in lives:
        for seen, after in zip(life.seen, [*life.seen[1:], life.final], strict=True):
            next_seen[seen] = after
        last_of[life.seen[-1]] = life
        reward_of |= dict(zip(life.seen, life.rewards, strict=True))
        done |= dict(zip(life.seen, zip(life.actions, life.open, strict=True), strict=True))
    learned: list[tuple[float, ...]] = []
    for arrays in found:
        bootstraps = iter(arrays["bootstrap_observations"].tolist())
        start = 0
        for i, length in enumerate(arrays["lengths"]):
            rows = [tuple(row) for row in arrays["observations"][start : start + length].tolist()]
            assert all(next_seen[a] == b for a, b in pairwise(rows))
            rewards = arrays["rewards"][start : start + length].tolist()
            assert rewards == [reward_of[row] for row in rows]
            actions = arrays["actions"][start : start + length, 0].tolist()
            masks = arrays["action_mask"][start : start + length].tolist()
            assert list(zip(actions, masks, strict=True)) == [done[row] for row in rows]
            life = last_of.get(rows[-1])
            terminated, truncated = arrays["terminated"][i], arrays["truncated"][i]
            if terminated or truncated:
                assert life is not None
                assert (terminated, truncated) == (life.terminated, life.truncated)
            if not terminated:
                following = tuple(next(bootstraps))
                # What follows a cut at the very end was seen by nobody yet.
                unseen = life is not None and life is toy_open(toy, rows[-1])
                assert unseen or following == next_seen[rows[-1]]
            learned += rows
            start += length
        assert next(bootstraps, None) is None
    assert len(set(learned)) == len(learned)
    left = {row for life in lives for row in life.seen} - set(learned)
    waiting = {life.seen[-1] for life in lives if not life.final}
    assert left <= waiting, "only what waits at the very end is not learned from"


def toy_open(toy: Toy, seen: tuple[float, ...]) -> Life | None:
    """The life that goes on after this decision, its last one."""
    for lives in toy.lives.values():
        if lives[-1].seen and lives[-1].seen[-1] == seen and not lives[-1].final:
            return lives[-1]
    return None


def test_a_state_that_seats_an_agent_of_another_role_is_refused():
    worker, _ = worker_on(Toy(SPECS[1], 1, 0.5))
    state = worker.state()
    worker.restore(state)
    state["seats"] = np.roll(state["seats"], 1, axis=1)
    with pytest.raises(ValueError, match="another role"):
        worker.restore(state)


def test_a_carried_step_keeps_the_version_that_acted():
    buffer = RolloutBuffer(2, 1, 1, (2,), columns_for("gae", masked=False), turns=True)
    step = {name: np.zeros(1, np.float32) for name in ("log_probs", "values", "rewards")}
    step["discounts"], step["observations"] = np.ones(1, np.float32), np.zeros((1, 1), np.float32)
    step["actions"], step["component_mask"] = np.zeros((1, 1), np.int32), np.ones((1, 1), np.bool_)
    lane, agent = np.array([0]), np.array([7])
    versions = []
    for version, waits in ((3, True), (4, True), (5, False)):
        if version != 4:  # in that rollout it never has its turn
            buffer.record(lane, **step)
        buffer.cut(agent, np.ones((1, 1), np.float32), np.array([waits]), np.array([version]))
        arrays = buffer.arrays(7, version)
        versions.append((arrays["lengths"].tolist(), arrays["policy_versions"].tolist()))
        buffer.clear()
    assert versions == [([], []), ([], []), ([2], [3])]


def test_default_steps_are_not_kept_of_lanes_that_wait():
    with pytest.raises(ValueError, match="wait for their turn"):
        RolloutBuffer(2, 1, 1, (2,), turns=True)
