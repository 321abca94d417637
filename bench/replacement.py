"""Whether an agent is worse than its peers: what its seat would gain if the median agent had it.

A population's mean hides an agent that never learned. So every agent plays games twice, with the
same start, the same draws and the same chances at every choice: once itself, and once with the
population's median agent in its seat. What is compared is what the agents were trained for: the
seat's own return where the run's team spirit is 0, the match's mean where it is 1, discounted.

With hundreds of agents some differences are large by chance. Intervals therefore hold for all
agents of a table at once, and not for each alone: 95% for the whole family, one-sided (Bonferroni).
Those who would be suspected by an interval of their own play four times as many games, other ones,
and those alone count. An agent has failed to learn if its place is worth more to the median agent
by more than that interval, and by something material (:data:`MATERIAL`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray

from brigade.env.batched import BatchedEnv
from brigade.games.bucket_brigade import scenario_of
from brigade.policy import distribution
from brigade.policy.actor import Actor
from brigade.run.measure import play
from brigade.store.checkpoint import Checkpoint

# Of the way from random play to the optimum: what a gain must exceed to be called a failure.
MATERIAL = 0.01
CONFIDENCE = 0.95
GAMES = 200  # of each agent, in each of the two casts
RETEST = 4  # times as many for a suspect
# Discounted by 0.99 a night, what follows is worth a twentieth.
MAX_NIGHTS = 300


@dataclass(frozen=True)
class Gain:
    """What a seat gains if the population's median agent takes one agent's place.

    Attributes
    ----------
    agent
        Whose place.
    mean
        Mean gain, in discounted returns.
    error
        Its standard error.
    """

    agent: int
    mean: float
    error: float

    def interval(self, together: int = 1) -> float:
        """Half-width that holds for so many one-sided comparisons at once."""
        return NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / together) * self.error


def gains(saved: Checkpoint, together: int, games: int = GAMES, seed: int = 1) -> list[Gain]:
    """Replace each agent of a population, but the median one, by that.

    Parameters
    ----------
    saved
        At least two agents more than there are seats.
    together
        Comparisons for which intervals are to hold at once.
    games
        For each agent.
    seed
        Decides all games.

    Returns
    -------
    list of Gain
        The one that is most certainly above 0 first.
    """
    streams = np.random.SeedSequence(seed).spawn(3)
    median = median_agent(saved, games, np.random.default_rng(streams[0]))
    agents = [agent for agent in range(len(saved.agents)) if agent != median]
    found = {
        gain.agent: gain
        for gain in replace(saved, agents, median, games, np.random.default_rng(streams[1]))
    }
    suspects = [agent for agent, gain in found.items() if gain.mean > gain.interval()]
    again = np.random.default_rng(streams[2])
    found |= {g.agent: g for g in replace(saved, suspects, median, RETEST * games, again)}
    return sorted(found.values(), key=lambda g: g.interval(together) - g.mean)


def median_agent(saved: Checkpoint, games: int, generator: np.random.Generator) -> int:
    """Tell whose mean return is the median among its peers; of an even number the better one."""
    num_agents, num_seats = len(saved.agents), saved.config.num_agents_per_game
    rounds = -(-games // num_seats)  # each agent once in each seat of a round
    orders = [generator.permutation(num_agents) for _ in range(rounds)]
    agents = np.stack([np.roll(o, -first)[:num_seats] for o in orders for first in range(len(o))])
    returns = discounted_returns(saved, agents, int(generator.integers(2**63)))
    means = [returns[agents == agent].mean() for agent in range(num_agents)]
    return int(np.argsort(means)[num_agents // 2])


def replace(
    saved: Checkpoint,
    agents: Sequence[int],
    substitute: int,
    games: int,
    generator: np.random.Generator,
) -> list[Gain]:
    """Measure what the seats of ``agents`` gain if ``substitute`` takes their place.

    Each plays ``games`` games, in every seat in turn, with others who are neither of the two.
    """
    if not agents:
        return []
    casts, num_seats = [], saved.config.num_agents_per_game
    for agent in agents:
        others = [a for a in range(len(saved.agents)) if a not in (agent, substitute)]
        casts += [generator.permutation(others)[:num_seats] for _ in range(games)]
    seated = np.stack(casts)
    places = np.arange(len(seated)), np.arange(len(seated)) % num_seats
    seed = int(generator.integers(2**63))
    returns = []
    for cast in (np.repeat(agents, games), substitute):
        seated[places] = cast
        returns.append(discounted_returns(saved, seated, seed)[places])
    differences = (returns[1] - returns[0]).reshape(len(agents), games)
    return [
        Gain(agent, float(row.mean()), float(row.std(ddof=1) / math.sqrt(games)))
        for agent, row in zip(agents, differences, strict=True)
    ]


def discounted_returns(
    saved: Checkpoint, agents: NDArray[np.int64], seed: int
) -> NDArray[np.float64]:
    """Let a checkpoint's agents play: what each seat was trained for, discounted.

    Parameters
    ----------
    agents
        int64 ``[E, A]``: who sits where. In game ``e`` the same draws fall whoever plays, and a
        seat's choices of a night are drawn with the same uniform numbers.
    seed
        Decides both.

    Returns
    -------
    float64 ``[E, A]``
    """
    num_seats, network = agents.shape[1], saved.network
    env = BatchedEnv(len(agents), scenario_of(saved.game), num_seats, max_cycles=MAX_NIGHTS)
    actor = Actor(network, torch.from_numpy(np.stack([a.parameters for a in saved.agents])))
    generator = np.random.default_rng(seed)
    seated = -1

    def act(observations: NDArray[np.float32], live: NDArray[np.int64]) -> NDArray[np.int32]:
        nonlocal seated
        if len(live) != seated:
            seated = len(live)
            actor.seat(agents[live].ravel())
        # For games that are over, too: so that a game's numbers do not depend on the others' ends.
        drawn = generator.random((*agents.shape, len(network.action_nvec)), dtype=np.float32)[live]
        outputs = actor.outputs(observations[live].reshape(len(live) * num_seats, -1))
        uniforms = torch.from_numpy(drawn.reshape(len(outputs), -1))
        actions, _ = distribution.sample(outputs[:, :-1], network.action_nvec, uniforms)
        return actions.to(torch.int32).numpy().reshape(len(live), num_seats, -1)

    own = play(env, agents, act, seed).discounted
    spirit = saved.config.team_spirit
    mixed: NDArray[np.float64] = (1 - spirit) * own + spirit * own.mean(1, keepdims=True)
    return mixed
