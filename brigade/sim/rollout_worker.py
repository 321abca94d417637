"""The rollout worker: plays all games at once with the acting policies, and remembers who did what.

Pure but for the time it takes: no sockets, no files, no clock; every draw comes from generators
derived from the run's seed, and all of its state can be taken out and put back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brigade import seeds
from brigade._core import Scenario, observation_layout
from brigade.config import RunConfig
from brigade.env.batched import BatchedEnv
from brigade.policy.actor import Actor
from brigade.policy.distribution import offsets
from brigade.policy.network import Network
from brigade.sim.matchmaking import Matchmaker
from brigade.sim.repository import Repository
from brigade.sim.rollout import RolloutBuffer

# Blocks of an observation that hold as many entries for each house, house by house.
HOUSE_BLOCKS = ("houses", "fire_progress", "workers")
# The same, but what a house is to the seat that looks.
OWN_BLOCKS = ("owned", "home")


@dataclass(frozen=True)
class Episodes:
    """Games that ended in one step, those left out that started in a random state."""

    agents: NDArray[np.int64]  # [m, A]: who sat where
    returns: NDArray[np.float64]  # [m, A]: each seat's undiscounted sum of the game's own rewards
    lengths: NDArray[np.int32]  # [m], nights
    cut: NDArray[np.bool_]  # [m]: whether the limit on nights ended it
    # [m]: how many of these had begun before it; -1 where it went on from a saved state
    numbers: NDArray[np.int64]


def network_for(config: RunConfig, scenario: Scenario) -> Network:
    """Shape of the policies of a run."""
    env = BatchedEnv(1, scenario, config.num_agents_per_game)
    seat = observation_layout(scenario, config.num_agents_per_game)["seat"]
    return Network(
        env.num_features,
        env.action_nvec,
        config.hidden_size,
        choices=house_columns(scenario, config.num_agents_per_game, HOUSE_BLOCKS),
        private=house_columns(scenario, config.num_agents_per_game, OWN_BLOCKS),
        seats=tuple(range(seat.start, seat.stop)),
        drawn=(offsets(env.action_nvec)[1] + 1,),  # to work
    )


def house_columns(
    scenario: Scenario, num_seats: int, names: Sequence[str]
) -> tuple[tuple[int, ...], ...]:
    """Where these blocks of an observation describe each house."""
    layout = observation_layout(scenario, num_seats)
    blocks = [layout[name] for name in names]
    widths = [(block.stop - block.start) // scenario.num_houses for block in blocks]
    return tuple(
        tuple(
            block.start + house * width + i
            for block, width in zip(blocks, widths, strict=True)
            for i in range(width)
        )
        for house in range(scenario.num_houses)
    )


def component_mask(actions: NDArray[np.int32], signalling: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which components of actions ``[R, 3]`` (house, mode, signal) have an effect: bool ``[R, 3]``.

    Where a night's signals are given first (``signalling`` ``[R]``), only the signal has one; and
    a resting agent's house puts out nothing and costs nothing.
    """
    mask = np.ones(actions.shape, np.bool_)
    mask[:, 0] = (actions[:, 1] == 1) & ~signalling
    mask[:, 1] = ~signalling
    return mask


def exploring_start(
    generator: np.random.Generator, num_houses: int, latest_night: int
) -> tuple[NDArray[np.int8], int]:
    """Draw a state with a fire in it, however rarely a good team sees it.

    Returns
    -------
    houses
        int8 ``[N]``: any number of ruined ones, and one to three that burn.
    night
        In ``[0, latest_night]``.
    """
    houses = np.zeros(num_houses, np.int8)
    order = generator.permutation(num_houses)
    ruined = int(generator.integers(num_houses))
    houses[order[:ruined]] = 2
    houses[order[ruined : ruined + int(generator.choice([1, 1, 1, 2, 2, 3]))]] = 1
    return houses, int(generator.integers(latest_night + 1))


class RolloutWorker:
    """Plays ``config.games`` games side by side.

    Attributes
    ----------
    seats
        int64 ``[G, A]``: the agent in each seat of each game.
    buffer
        The rollout in the making.
    """

    def __init__(
        self, config: RunConfig, scenario: Scenario, repository: Repository, seed: int
    ) -> None:
        self._config = config
        self._repository = repository
        self._env = BatchedEnv(
            config.games,
            scenario,
            config.num_agents_per_game,
            max_cycles=config.max_nights,
            seed=seeds.number(seed, seeds.Purpose.GAMES),
        )
        self._phase = observation_layout(scenario, config.num_agents_per_game)["phase"].start
        self._actor = Actor(repository.network, repository.parameters)
        self._actions = seeds.generator(seed, seeds.Purpose.ACTIONS)
        self._starts = seeds.generator(seed, seeds.Purpose.STARTS)
        self._placed = np.zeros(config.games, np.bool_)
        self._numbers = np.arange(config.games)  # of the games under way
        self._begun = config.games
        self.matchmaker = Matchmaker(
            config.population_size,
            config.num_agents_per_game,
            config.matchmaking,
            seeds.generator(seed, seeds.Purpose.MATCHMAKING),
        )
        self.seats = np.stack([self.matchmaker.match() for _ in range(config.games)])
        self._lanes = np.arange(self.seats.size).reshape(self.seats.shape)
        self._actor.seat(self.seats.ravel())
        self.buffer = RolloutBuffer(
            config.steps_per_rollout, self.seats.size, self._env.num_features, self._env.action_nvec
        )
        self._env.reset()

    def step(self) -> Episodes:
        """Play one step of every game into the buffer; return the games that ended with it."""
        env, lanes = self._env, self.seats.ravel()
        observations = env.observations.reshape(len(lanes), -1)
        actions, log_probs, values = self._actor.act(observations, self._actions)
        units = self._repository
        values = values * units.deviation.numpy()[lanes] + units.mean.numpy()[lanes]
        signalling = observations[:, self._phase] == 1
        mask = component_mask(actions, signalling)
        joint = actions.reshape(*self.seats.shape, -1)
        default = env.default_outcomes(joint)
        step = {
            "observations": observations.copy(),
            "actions": actions,
            "component_mask": mask,
            "log_probs": (log_probs * mask).sum(1),
            "values": values,
            "discounts": np.where(signalling, 1.0, self._config.gamma),
            "default_rewards": self._had_it_rested(default.rewards).ravel(),
            "default_terminated": default.terminated.ravel(),
            "changed": default.changed.ravel(),
            "default_observations": default.observations.reshape(len(lanes), -1),
        }
        env.step(joint)
        self.buffer.record(**step, rewards=self._training_rewards(env.rewards).ravel())
        return self._end_games(env)

    def cut(self) -> None:
        """End the rollout here: open fragments are cut and bootstrap from what follows."""
        observations = self._env.observations.reshape(self.seats.size, -1)
        self.buffer.cut(self.seats.ravel(), observations.copy())

    def _training_rewards(self, rewards: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mix a seat's own reward with its match's mean ("team spirit", OpenAI Five 2019)."""
        spirit = np.float32(self._config.team_spirit)
        mixed: NDArray[np.float32] = (1 - spirit) * rewards + spirit * rewards.mean(
            -1, keepdims=True
        )
        return mixed

    def _had_it_rested(self, rewards: NDArray[np.float32]) -> NDArray[np.float32]:
        """Training rewards ``[G, A]`` of each seat had it rested, of all seats' ``[G, A, A]``."""
        return np.diagonal(self._training_rewards(rewards), axis1=1, axis2=2)

    def _end_games(self, env: BatchedEnv) -> Episodes:
        """Close the fragments of games that ended, and seat others in the games that follow."""
        ended = np.flatnonzero(env.terminated | env.truncated)
        whole = ended[~self._placed[ended]]
        episodes = Episodes(
            self.seats[whole].copy(),
            env.returns[whole].copy(),
            env.lengths[whole].copy(),
            env.truncated[whole].copy(),
            self._numbers[whole],
        )
        if len(ended):
            num_seats = self.seats.shape[1]
            self.buffer.end(
                self._lanes[ended].ravel(),
                self.seats[ended].ravel(),
                env.terminated[ended].repeat(num_seats),
                env.truncated[ended].repeat(num_seats),
                env.final_observations[ended].reshape(len(ended) * num_seats, -1),
            )
            for game in ended:
                self.seats[game] = self.matchmaker.match()
                self._start_anywhere(int(game))
                if not self._placed[game]:
                    self._numbers[game] = self._begun
                    self._begun += 1
            self._actor.seat(self.seats.ravel())
        return episodes

    def _start_anywhere(self, game: int) -> None:
        """Give a new game an exploring start, if it is its turn to have one."""
        share = self._config.exploring_starts
        self._placed[game] = share > 0 and self._starts.random() < share
        if self._placed[game]:
            scenario = self._env.scenario
            latest = min(2 * scenario.min_nights, self._config.max_nights - 1)
            self._env.place(game, *exploring_start(self._starts, scenario.num_houses, latest))

    def state(self) -> dict[str, Any]:
        """Everything between two rollouts, as plain values, bytes and arrays."""
        return {
            "games": self._env.get_state(),
            "seats": self.seats.copy(),
            "games_played": self.matchmaker.games.copy(),
            "matchmaking": json.dumps(self.matchmaker.generator.bit_generator.state),
            "actions": json.dumps(self._actions.bit_generator.state),
            "starts": json.dumps(self._starts.bit_generator.state),
            "placed": self._placed.copy(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state that :meth:`state` gave.

        Raises
        ------
        ValueError
            It does not fit this run.
        """
        names = ("games", "seats", "games_played", "matchmaking", "actions", "starts", "placed")
        missing = [name for name in names if name not in state]
        if missing:
            raise ValueError(f"the simulator's state has no {', '.join(missing)}")
        seats, played = np.asarray(state["seats"]), np.asarray(state["games_played"])
        population = len(self.matchmaker.games)
        if seats.shape != self.seats.shape or played.shape != self.matchmaker.games.shape:
            raise ValueError(f"seats {seats.shape} for {self.seats.shape}, or another population")
        if seats.dtype.kind not in "iu" or played.dtype.kind not in "iu":
            raise ValueError("seats and games played are whole numbers")
        if seats.size and not (seats.min() >= 0 and seats.max() < population):
            raise ValueError(f"a seat of an agent beyond 0-{population - 1}")
        placed = np.asarray(state["placed"])
        if placed.shape != self._placed.shape or placed.dtype != np.bool_:
            raise ValueError(f"placed games are {placed.dtype} {placed.shape}, or another number")
        matchmaking = _generator(state["matchmaking"], "matchmaking")
        actions = _generator(state["actions"], "actions")
        starts = _generator(state["starts"], "starts")
        self._env.set_state(bytes(state["games"]))
        self.seats[:] = seats
        self.matchmaker.games[:] = played
        self.matchmaker.generator, self._actions, self._starts = matchmaking, actions, starts
        self._placed[:] = placed
        self._numbers[:], self._begun = -1, 0
        self._actor.seat(self.seats.ravel())
        self.buffer.clear()


def _generator(state: Any, name: str) -> np.random.Generator:
    """Make a generator that goes on from a state as :meth:`RolloutWorker.state` writes it.

    Raises
    ------
    ValueError
        It is none.
    """
    bits = np.random.PCG64()
    try:
        bits.state = json.loads(state)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"{name}: not the state of a generator: {error}") from None
    return np.random.Generator(bits)
