"""The rollout worker: plays all games at once with the acting policies, and remembers who did what.

Pure but for the time it takes: no sockets, no files, no clock; every draw comes from generators
derived from the run's seed, and all of its state can be taken out and put back. It knows games
only by what :mod:`brigade.games.vector` says of them.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brigade import seeds
from brigade.config import ConfigError, RunConfig
from brigade.games.build import build
from brigade.games.spec import GameSpec
from brigade.games.vector import (
    ActionMasks,
    ComponentMasks,
    DefaultActions,
    ExploringStarts,
    Saves,
    Step,
    Timed,
    Turns,
)
from brigade.policy.actor import Actor
from brigade.ppo.rollout import columns_for
from brigade.sim.episodes import Episodes
from brigade.sim.matchmaking import Matchmaker
from brigade.sim.repository import Repository
from brigade.sim.rollout import RolloutBuffer


class RolloutWorker:
    """Plays ``config.games`` games side by side.

    Attributes
    ----------
    game
        The games.
    seats
        int64 ``[G, A]``: the agent in each seat of each game.
    buffer
        The rollout in the making.
    acted
        Lanes that acted in the last step.

    Raises
    ------
    ConfigError
        The settings ask for what the game cannot do.
    """

    def __init__(
        self, config: RunConfig, spec: GameSpec, repository: Repository, seed: int
    ) -> None:
        self._config = config
        self._repository = repository
        self.game = build(
            spec,
            config.games,
            max_turns=config.max_nights,
            seed=seeds.number(seed, seeds.Purpose.GAMES),
        )
        role = spec.role
        columns = columns_for(config.advantages, masked=role.masked)
        self._default_actions: DefaultActions | None = None
        if any(column.needed == "default" for column in columns.values()):
            if not isinstance(self.game, DefaultActions):
                raise ConfigError(
                    f"{spec.name} has no default actions to compare with: use --advantages gae"
                )
            if isinstance(self.game, Turns):
                raise ConfigError(f"{spec.name} is played in turns: use --advantages gae")
            self._default_actions = self.game
        self._turns = self.game if isinstance(self.game, Turns) else None
        self._choices = self.game if isinstance(self.game, ActionMasks) else None
        self._components = self.game if isinstance(self.game, ComponentMasks) else None
        self._timed = self.game if isinstance(self.game, Timed) else None
        # What is carried from one rollout to the next is not part of the state.
        self._saves: Saves | None = None
        if isinstance(self.game, Saves) and self._turns is None:
            self._saves = self.game
        self._restarts = self.game if isinstance(self.game, ExploringStarts) else None
        if config.exploring_starts and self._restarts is None:
            raise ConfigError(f"{spec.name} has no --exploring-starts: leave them out")
        self._actor = Actor(repository.network, repository.parameters)
        self._actions = seeds.generator(seed, seeds.Purpose.ACTIONS)
        self._starts = seeds.generator(seed, seeds.Purpose.STARTS)
        self._placed = np.zeros(config.games, np.bool_)
        self._numbers = np.arange(config.games)  # of the games under way
        self._begun = config.games
        self.matchmaker = Matchmaker(
            config.population_size,
            spec.num_seats,
            config.matchmaking,
            seeds.generator(seed, seeds.Purpose.MATCHMAKING),
        )
        self.seats = np.stack([self.matchmaker.match() for _ in range(config.games)])
        self._actor.seat(self.seats.ravel())
        self.buffer = RolloutBuffer(
            config.steps_per_rollout,
            self.seats.size,
            role.num_features,
            role.action_nvec,
            columns,
            turns=self._turns is not None,
        )
        self.acted = 0
        self.game.reset()

    def step(self) -> Episodes:
        """Play one step of every game into the buffer; return the games that ended with it."""
        game, num_lanes = self.game, self.seats.size
        lanes = None if self._turns is None else np.flatnonzero(self._turns.active())
        which = slice(None) if lanes is None else lanes
        agents, units = self.seats.ravel()[which], self._repository
        if lanes is not None:
            self._actor.seat(agents)
        observations = game.observations[which]
        choices: NDArray[np.bool_] | None = None
        if self._choices is not None:
            choices = self._choices.action_mask()[which].copy()
        actions, log_probs, values = self._actor.act(observations, self._actions, choices)
        whole = actions
        if lanes is not None:
            whole = np.zeros((num_lanes, actions.shape[1]), np.int32)
            whole[lanes] = actions
        if self._components is None:
            mask = np.ones(actions.shape, np.bool_)
        else:
            mask = self._components.component_mask(whole)[which]
        if self._timed is None:
            discounts = np.full(len(actions), self._config.gamma)
        else:
            discounts = np.where(self._timed.takes_time()[which], self._config.gamma, 1.0)
        columns: dict[str, NDArray[Any]] = {
            "observations": observations.copy(),
            "actions": actions,
            "component_mask": mask,
            "log_probs": (log_probs * mask).sum(1),
            "values": values * units.deviation.numpy()[agents] + units.mean.numpy()[agents],
            "discounts": discounts,
        }
        if choices is not None:
            columns["action_mask"] = choices
        if self._default_actions is not None:
            default = self._default_actions.default_outcomes(actions)
            columns |= {
                "default_rewards": self._own(self._training_rewards(default.rewards)),
                "default_terminated": default.terminated,
                "changed": default.changed,
                "default_observations": default.observations,
            }
        step = game.step(whole)
        rewards = self._training_rewards(step.rewards.reshape(self.seats.shape)).ravel()
        if lanes is None:
            self.buffer.record(**columns, rewards=rewards)
        else:
            nothing = np.zeros(len(lanes), np.float32)
            self.buffer.record(lanes, **columns, rewards=nothing)
            self.buffer.add_rewards(rewards)
        self.acted = len(actions)
        return self._end_games(step)

    def cut(self) -> None:
        """End the rollout here: open fragments are cut and bootstrap from what follows."""
        agents, following = self.seats.ravel(), self.game.observations.copy()
        if self._turns is None:
            self.buffer.cut(agents, following)
        else:
            acting = self._repository.acting
            versions = np.array([acting.get(int(agent), 0) for agent in agents])
            self.buffer.cut(agents, following, ~self._turns.active(), versions)

    def _training_rewards(self, rewards: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mix each seat's own reward ``[..., A]`` with its match's mean.

        "Team spirit": Berner et al. 2019, "Dota 2 with Large Scale Deep Reinforcement Learning".
        """
        if not self._config.team_spirit:
            return rewards
        spirit = np.float32(self._config.team_spirit)
        mixed: NDArray[np.float32] = (1 - spirit) * rewards + spirit * rewards.mean(
            -1, keepdims=True
        )
        return mixed

    def _own(self, rewards: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of what all seats of a lane's game get, ``[L, A]``, the lane's own: ``[L]``."""
        by_game = rewards.reshape(*self.seats.shape, -1)
        return np.diagonal(by_game, axis1=1, axis2=2).ravel()

    def _end_games(self, step: Step) -> Episodes:
        """Close the fragments of games that ended, and seat others in the games that follow."""
        counted = ~self._placed[step.ended]
        whole = step.ended[counted]
        episodes = Episodes(
            self.seats[whole],
            step.returns[counted],
            step.lengths[counted],
            step.cut[counted],
            self._numbers[whole],
        )
        lanes = np.flatnonzero(step.terminated | step.truncated)
        if len(lanes):
            self.buffer.end(
                lanes,
                self.seats.ravel()[lanes],
                step.terminated[lanes],
                step.truncated[lanes],
                step.final_observations[lanes],
            )
        if len(step.ended):
            for game in step.ended:
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
        if self._placed[game] and self._restarts is not None:
            self._restarts.restart(game, self._starts)

    def state(self) -> dict[str, Any]:
        """Everything between two rollouts, as plain values, bytes and arrays."""
        return {
            "games": b"" if self._saves is None else self._saves.get_state(),
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
        if self._saves is None:
            self.game.reset()
        else:
            self._saves.set_state(bytes(state["games"]))
        self.seats[:] = seats
        self.matchmaker.games[:] = played
        self.matchmaker.generator, self._actions, self._starts = matchmaking, actions, starts
        self._placed[:] = placed
        self._numbers[:], self._begun = -1, 0
        if self._saves is None:  # all games begin anew
            self._placed[:] = False
            self._numbers[:], self._begun = np.arange(len(seats)), len(seats)
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
