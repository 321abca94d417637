"""Who plays in an environment: trained agents of a checkpoint, or random play."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from brigade import seeds
from brigade.config import ConfigError
from brigade.games.pettingzoo.finding import find
from brigade.games.pettingzoo.pictures import Look
from brigade.games.pettingzoo.vector_game import spec_of
from brigade.games.spec import GameSpec
from brigade.games.vector import ActionMasks, Pictures, Turns, VectorGame
from brigade.policy.actor import Actor
from brigade.policy.build import fits
from brigade.policy.network import Network
from brigade.run.process import without_windows
from brigade.run.resolve import wherever
from brigade.run.team import parse_source
from brigade.sim.matchmaking import Matchmaker
from brigade.store.checkpoint import Checkpoint

RANDOM = "random"
Rows = NDArray[Any]


class Seen(NamedTuple):
    """What ``m`` lanes of a role have before them."""

    agents: NDArray[np.int64]  # [m]: who acts, numbered within the role
    observations: Rows  # [m, F]
    pictures: Rows | None  # [m, P]
    mask: Rows | None  # [m, n]


# How the lanes of a role choose actions [m, C].
Act = Callable[[int, Seen], Rows]


@dataclass(frozen=True)
class Players:
    """Who plays, and what.

    Attributes
    ----------
    spec
        The environment.
    act
        How they do.
    sizes
        How many there are of each role.
    names
        What each is called, and its role.
    max_steps
        After how many steps episodes were cut in training, if they were.
    """

    spec: GameSpec
    act: Act
    sizes: list[int]
    names: list[tuple[str, str]]
    max_steps: int | None = None

    def matchmaker(self, seed: int) -> Matchmaker:
        """Make what seats them, each as often as the others of its role, or once more."""
        return Matchmaker(
            self.sizes,
            [role.seats for role in self.spec.roles],
            "round_robin",
            seeds.generator(seed, seeds.Purpose.MATCHMAKING),
            self_play=None,
        )


def load_players(
    what: str, env: str, env_arg: Mapping[str, Any], seed: int, *, greedy: bool
) -> Players:
    """Load who plays, and see that they are for the environment.

    Parameters
    ----------
    what
        A checkpoint or run, with numbers of agents or without, or ``random``.
    env, env_arg
        The environment, and its arguments; without any, those of the training.
    seed
        Decides what is drawn.
    greedy
        Whether the most probable actions are taken.

    Raises
    ------
    ConfigError, CheckpointError, EnvironmentUnusable
        There is no such checkpoint or environment, or they do not fit together.
    """
    without_windows()
    saved, chosen = _source(what)
    settings = saved.config if saved is not None else None
    spec, _ = spec_of(
        find(wherever(env), env_arg or (settings.env_arg if settings else {})),
        settings.roles if settings else {},
        fresh=settings.env_fresh if settings else False,
        reward_weights=settings.reward_weights if settings else (),
        look=Look(settings.picture_size, settings.env_grey) if settings else None,
    )
    if saved is None:
        sizes = [1] * len(spec.roles)
        return Players(spec, _random_act(spec, seed), sizes, _names(spec, sizes, chosen))
    _check_fit(what, saved, spec)
    sizes = [sum(agent in agents for agent in chosen) for _, agents in saved.population]
    if 0 in sizes:
        role = spec.roles[sizes.index(0)].name
        raise ConfigError(f"{what}: it names no agent of role {role}")
    rows = [
        np.stack([saved.agents[agent].parameters for agent in chosen if agent in agents])
        for _, agents in saved.population
    ]
    act = acting(
        saved.population.networks,
        [torch.from_numpy(each) for each in rows],
        seeds.generator(seed, seeds.Purpose.ACTIONS),
        greedy=greedy,
    )
    return Players(spec, act, sizes, _names(spec, sizes, chosen), saved.config.max_steps)


def _source(what: str) -> tuple[Checkpoint | None, list[int]]:
    """Load whom to measure, and which of them; None for random play."""
    if what == RANDOM:
        return None, []
    source = parse_source(what)
    saved = source.load()
    return saved, sorted(set(source.numbers(saved)))


def _check_fit(what: str, saved: Checkpoint, spec: GameSpec) -> None:
    networks = saved.population.networks
    if len(networks) != len(spec.roles) or not all(map(fits, networks, spec.roles)):
        raise ConfigError(
            f"{what} was trained on {saved.game.name}, whose agents see or do something else than "
            f"those of {spec.name}"
        )


def acting(
    networks: Sequence[Network],
    parameters: Sequence[torch.Tensor],
    generator: np.random.Generator,
    *,
    greedy: bool,
) -> Act:
    """Let policies act.

    Parameters
    ----------
    networks, parameters
        Of each role: the shape of its agents' networks, and their rows, float32 ``[P_r, D_r]``.
    generator
        What actions are drawn from.
    greedy
        Whether the most probable ones are taken instead.
    """
    actors = [Actor(*pair) for pair in zip(networks, parameters, strict=True)]

    def act(role: int, seen: Seen) -> Rows:
        actor = actors[role]
        actor.seat(seen.agents)
        if greedy:
            return actor.act_greedily(seen.observations, seen.mask, seen.pictures)
        drawn, _, _ = actor.act(seen.observations, generator, seen.mask, seen.pictures)
        return actor.for_game(drawn)

    return act


def _random_act(spec: GameSpec, seed: int) -> Act:
    """Choose among what is open, each as likely as any other; in a range, anywhere."""
    generator = seeds.generator(seed, seeds.Purpose.ACTIONS)

    def act(role: int, seen: Seen) -> Rows:
        entries, nvec = spec.roles[role].num_continuous, spec.roles[role].action_nvec
        if entries:
            return generator.uniform(-1, 1, (len(seen.agents), entries)).astype(np.float32)
        chances = generator.random((len(seen.agents), sum(nvec)))
        if seen.mask is not None:
            chances[~seen.mask] = -1.0
        parts = np.split(chances, np.cumsum(nvec)[:-1], axis=1)
        return np.stack([part.argmax(1) for part in parts], 1).astype(np.int32)

    return act


def _names(spec: GameSpec, sizes: Sequence[int], chosen: Sequence[int]) -> list[tuple[str, str]]:
    """What agents are called, and their roles, in the order of their numbers here."""
    roles = [role.name for role, size in zip(spec.roles, sizes, strict=True) for _ in range(size)]
    names = [str(agent) for agent in chosen] if chosen else [RANDOM] * len(roles)
    return list(zip(names, roles, strict=True))


def choose(
    game: VectorGame, act: Act, sizes: Sequence[int], seats: NDArray[np.int64]
) -> list[tuple[Rows, NDArray[np.int64]]]:
    """Let all that have to act in a coming step choose what to do.

    Parameters
    ----------
    sizes
        Agents of each role, numbered through them.
    seats
        Who sits where, ``[G, A]`` or, of one game, ``[A]``.

    Returns
    -------
    list
        For each role the actions of its lanes, 0 where one waits, and which of them act.
    """
    spec, agents = game.spec, seats.ravel()
    active = game.active() if isinstance(game, Turns) else np.ones(seats.size, np.bool_)
    masks = game.action_masks() if isinstance(game, ActionMasks) else None
    found, first = [], 0
    for number, lanes in enumerate(spec.lanes(game.num_games)):
        role = spec.roles[number]
        rows = np.flatnonzero(active[lanes])
        mask = masks[number][rows] if masks is not None and role.masked else None
        pictures = None
        if isinstance(game, Pictures) and role.pictures:
            pictures = game.pictures[number][rows]
        own = agents[lanes[rows]] - first
        chosen = act(number, Seen(own, game.observations[number][rows], pictures, mask))
        whole = np.zeros((len(lanes), chosen.shape[1]), chosen.dtype)
        whole[rows] = chosen
        found.append((whole, rows))
        first += sizes[number]
    return found
