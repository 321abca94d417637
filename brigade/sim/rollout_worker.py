"""The rollout worker: plays all games at once with the acting policies, and remembers who did what.

Pure but for the time it takes: no sockets, no files, no clock; every draw comes from generators
derived from the run's seed, and all of its state can be taken out and put back. It knows games
only by what :mod:`brigade.games.vector` says of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brigade import seeds
from brigade.config import ConfigError, RunConfig
from brigade.games.vector import (
    ActionMasks,
    ComponentMasks,
    DefaultActions,
    ExploringStarts,
    NumberedEpisodes,
    Pictures,
    Saves,
    Step,
    Timed,
    Turns,
    VectorGame,
)
from brigade.policy.actor import Actor
from brigade.ppo.rollout import columns_for
from brigade.sim.episodes import Episodes
from brigade.sim.matchmaking import Matchmaker, steps_per_rollout
from brigade.sim.repository import Repository
from brigade.sim.rollout import RolloutBuffer


@dataclass(eq=False)
class _Part:
    """The lanes of one role: who acts for them, and what is remembered of it.

    Attributes
    ----------
    lanes
        int64 ``[L_r]``: which; a slice where the role has all of them, as that copies nothing.
    num_lanes
        How many, L_r.
    first
        The first agent of the role.
    """

    lanes: NDArray[np.int64] | slice
    num_lanes: int
    first: int
    masked: bool
    actor: Actor
    buffer: RolloutBuffer


@dataclass(frozen=True)
class _Acts:
    """What the lanes of one role do in a step; ``rows`` are those that act, None where all do."""

    rows: NDArray[np.int64] | None
    agents: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]


class RolloutWorker:
    """Plays ``config.games`` games side by side.

    Attributes
    ----------
    game
        The games.
    seats
        int64 ``[G, A]``: the agent in each seat of each game.
    acted
        Lanes that acted in the last step.

    Raises
    ------
    ConfigError
        The settings ask for what the game cannot do.
    """

    def __init__(
        self, config: RunConfig, game: VectorGame, repository: Repository, seed: int
    ) -> None:
        self._config = config
        self._repository = repository
        self.game = game
        spec, population = game.spec, repository.population
        self._turns = game if isinstance(game, Turns) else None
        self._choices = game if isinstance(game, ActionMasks) else None
        self._components = game if isinstance(game, ComponentMasks) else None
        self._timed = game if isinstance(game, Timed) else None
        self._pictures: Pictures | None = None
        if isinstance(game, Pictures) and any(role.pictures for role in spec.roles):
            self._pictures = game
        self._default_actions = self._comparing()
        # What is carried from one rollout to the next is not part of the state.
        self._saves: Saves | None = None
        if isinstance(game, Saves) and self._turns is None:
            self._saves = game
        self._episodes = game if isinstance(game, NumberedEpisodes) else None
        self._restarts = game if isinstance(game, ExploringStarts) else None
        if config.exploring_starts and self._restarts is None:
            raise ConfigError(f"{spec.name} has no --exploring-starts: leave them out")
        self._actions = seeds.generator(seed, seeds.Purpose.ACTIONS)
        self._starts = seeds.generator(seed, seeds.Purpose.STARTS)
        self._placed = np.zeros(config.games, np.bool_)
        self._numbers = np.arange(config.games)  # of the games under way
        length = steps_per_rollout(config, spec)
        self._begun = config.games
        self.matchmaker = Matchmaker(
            population.sizes,
            [role.seats for role in spec.roles],
            config.matchmaking,
            seeds.generator(seed, seeds.Purpose.MATCHMAKING),
            self_play=config.self_play,
        )
        self.seats = np.stack([self.matchmaker.match() for _ in range(config.games)])
        self._parts = [
            _Part(
                lanes if len(spec.roles) > 1 else slice(None),
                len(lanes),
                population.firsts[number],
                role.masked,
                Actor(population.networks[number], repository.parameters[number]),
                RolloutBuffer(
                    length,
                    len(lanes),
                    role.num_features,
                    role.action_nvec,
                    columns_for(
                        config.advantages, masked=role.masked, pictures=bool(role.pictures)
                    ),
                    turns=self._turns is not None,
                    num_continuous=role.num_continuous,
                    num_picture_bytes=role.num_picture_bytes,
                ),
            )
            for number, (role, lanes) in enumerate(
                zip(spec.roles, spec.lanes(config.games), strict=True)
            )
        ]
        self._seat()
        self.acted = 0
        game.reset()

    def _comparing(self) -> DefaultActions | None:
        """Give what tells of default actions, where the settings want to know."""
        game, needed = self.game, self._config.advantages == "difference_rewards"
        if not needed:
            return None
        if not isinstance(game, DefaultActions):
            raise ConfigError(
                f"{game.spec.name} has no default actions to compare with: use --advantages gae"
            )
        if self._turns is not None or self._pictures is not None or len(game.spec.roles) > 1:
            raise ConfigError(
                f"{game.spec.name} is played in turns, by several roles or by sight of pictures: "
                "use --advantages gae"
            )
        return game

    def _seat(self) -> None:
        """Tell those who act who sits where; where lanes wait, they are told at each step."""
        if self._turns is None:
            agents = self.seats.ravel()
            for part in self._parts:
                part.actor.seat(agents[part.lanes] - part.first)

    def step(self) -> Episodes:
        """Play one step of every game; return the games that ended with it."""
        acts = self._act()
        whole = [self._spread(*each) for each in zip(self._parts, acts, strict=True)]
        self._judge(acts, whole)
        step = self.game.step(whole)
        rewards = self._training_rewards(step.rewards.reshape(self.seats.shape)).ravel()
        for part, act in zip(self._parts, acts, strict=True):
            mine = rewards[part.lanes]
            if act.rows is None:
                part.buffer.record(**act.columns, rewards=mine)
            else:
                nothing = np.zeros(len(act.rows), np.float32)
                part.buffer.record(act.rows, **act.columns, rewards=nothing)
                part.buffer.add_rewards(mine)
        self.acted = sum(len(act.agents) for act in acts)
        return self._end_games(step)

    def _act(self) -> list[_Acts]:
        """Let those whose turn it is choose what to do."""
        active = None if self._turns is None else self._turns.active()
        agents, observed = self.seats.ravel(), self.game.observations
        masks = None if self._choices is None else self._choices.action_masks()
        acts = []
        for number, part in enumerate(self._parts):
            rows, own, observations = None, agents[part.lanes], observed[number]
            mask = masks[number] if masks is not None and part.masked else None
            if active is not None:
                rows = np.flatnonzero(active[part.lanes])
                own, observations = own[rows], observations[rows]
                part.actor.seat(own - part.first)
            # The next step overwrites what is seen now.
            columns: dict[str, NDArray[Any]] = {"observations": observations.copy()}
            pictures = self._shown(number)
            if pictures is not None:
                pictures = (pictures if rows is None else pictures[rows]).copy()
                columns["pictures"] = pictures
            if mask is not None:
                mask = columns["action_mask"] = (mask if rows is None else mask[rows]).copy()
            actions, log_probs, values = part.actor.act(observations, self._actions, mask, pictures)
            units = self._repository
            columns |= {
                "actions": actions,
                "log_probs": log_probs,
                "values": values * units.deviation.numpy()[own] + units.mean.numpy()[own],
            }
            acts.append(_Acts(rows, own, columns))
        return acts

    def _shown(self, number: int) -> NDArray[np.uint8] | None:
        """Pictures that the lanes of a role see, if it has any: uint8 ``[L_r, P_r]``."""
        if self._pictures is None or not self.game.spec.roles[number].pictures:
            return None
        return self._pictures.pictures[number]

    def _spread(self, part: _Part, act: _Acts) -> NDArray[Any]:
        """Actions of all lanes of a role; of those that do not act, zeros."""
        actions = part.actor.for_game(act.columns["actions"])
        if act.rows is None:
            return actions
        whole = np.zeros((part.num_lanes, actions.shape[1]), actions.dtype)
        whole[act.rows] = actions
        return whole

    def _judge(self, acts: Sequence[_Acts], whole: Sequence[NDArray[Any]]) -> None:
        """Add what the game says of the coming actions, before they are played."""
        masks = None if self._components is None else self._components.component_mask(whole)
        takes_time = None if self._timed is None else self._timed.takes_time()
        gamma = self._config.gamma
        for number, (part, act) in enumerate(zip(self._parts, acts, strict=True)):
            columns, rows = act.columns, act.rows
            if masks is None:
                mask = np.ones(columns["actions"].shape, np.bool_)
            else:
                mask = masks[number] if rows is None else masks[number][rows]
            columns["component_mask"] = mask
            columns["log_probs"] = (columns["log_probs"] * mask).sum(1)
            if takes_time is None:
                columns["discounts"] = np.full(len(act.agents), gamma)
            else:
                timed = takes_time[part.lanes]
                columns["discounts"] = np.where(timed if rows is None else timed[rows], gamma, 1.0)
        if self._default_actions is not None:
            default = self._default_actions.default_outcomes(whole[0])
            acts[0].columns.update(
                default_rewards=self._own(self._training_rewards(default.rewards)),
                default_terminated=default.terminated,
                changed=default.changed,
                default_observations=default.observations,
            )

    def cut(self) -> None:
        """End the rollout here: open fragments are cut and bootstrap from what follows."""
        # Those who sit there now are remembered, and the seats are taken by others later.
        agents, observed = self.seats.flatten(), self.game.observations
        waiting = versions = None
        if self._turns is not None:
            acting = self._repository.acting
            waiting = ~self._turns.active()
            versions = np.array([acting.get(int(agent), 0) for agent in agents])
        for number, (part, following) in enumerate(zip(self._parts, observed, strict=True)):
            lanes = part.lanes
            pictures = self._shown(number)
            part.buffer.cut(
                agents[lanes],
                following.copy(),
                None if waiting is None else waiting[lanes],
                None if versions is None else versions[lanes],
                None if pictures is None else pictures.copy(),
            )

    def arrays(self, agent: int) -> dict[str, NDArray[Any]]:
        """Take out one agent's fragments of the rollout, as a message carries them."""
        part = self._parts[self._repository.population.role_of(agent)]
        return part.buffer.arrays(agent, self._repository.acting[agent])

    @property
    def full(self) -> bool:
        """Whether the rollout has as many steps as one should."""
        buffer = self._parts[0].buffer
        return buffer.filled == buffer.steps

    def clear(self) -> None:
        """Begin a new rollout."""
        for part in self._parts:
            part.buffer.clear()

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
        done = step.terminated | step.truncated
        if done.any():
            agents = self.seats.ravel()
            finals = step.final_observations
            for number, part in enumerate(self._parts):
                lanes = part.lanes
                rows = np.flatnonzero(done[lanes])
                part.buffer.end(
                    rows,
                    agents[lanes][rows],
                    step.terminated[lanes][rows],
                    step.truncated[lanes][rows],
                    finals[number][rows],
                    step.final_pictures[number][rows] if self._pictures else None,
                )
        if len(step.ended):
            for game in step.ended:
                self.seats[game] = self.matchmaker.match()
                self._start_anywhere(int(game))
                if not self._placed[game]:
                    self._numbers[game] = self._begun
                    self._begun += 1
            self._seat()
        return episodes

    def _start_anywhere(self, game: int) -> None:
        """Give a new game an exploring start, if it is its turn to have one."""
        share = self._config.exploring_starts
        self._placed[game] = share > 0 and self._starts.random() < share
        if self._placed[game] and self._restarts is not None:
            self._restarts.restart(game, self._starts)

    def state(self) -> dict[str, Any]:
        """Everything between two rollouts, as plain values, bytes and arrays."""
        episodes = {} if self._episodes is None else {"episodes": self._episodes.episodes}
        return {
            "games": b"" if self._saves is None else self._saves.get_state(),
            "seats": self.seats.copy(),
            "games_played": self.matchmaker.games.copy(),
            "matchmaking": json.dumps(self.matchmaker.generator.bit_generator.state),
            "actions": json.dumps(self._actions.bit_generator.state),
            "starts": json.dumps(self._starts.bit_generator.state),
            "placed": self._placed.copy(),
            **episodes,
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
        for part, size in zip(self._parts, self._repository.population.sizes, strict=True):
            own = seats.ravel()[part.lanes] - part.first
            if not ((own >= 0) & (own < size)).all():
                raise ValueError("a seat of an agent of another role")
        placed = np.asarray(state["placed"])
        if placed.shape != self._placed.shape or placed.dtype != np.bool_:
            raise ValueError(f"placed games are {placed.dtype} {placed.shape}, or another number")
        episodes = np.asarray(state.get("episodes", np.zeros(len(seats), np.int64)))
        if episodes.shape != (len(seats),) or episodes.dtype.kind != "i" or episodes.min() < 0:
            raise ValueError(f"episodes are {episodes.dtype} {episodes.shape}, or below 0")
        matchmaking = _generator(state["matchmaking"], "matchmaking")
        actions = _generator(state["actions"], "actions")
        starts = _generator(state["starts"], "starts")
        if self._saves is None and self._episodes is not None:
            self._episodes.begin(episodes)
        elif self._saves is None:
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
        self._seat()
        self.clear()


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
