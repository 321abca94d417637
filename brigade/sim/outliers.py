"""Which agents of a population are unlike their peers, in sentences that name them. Pure.

A population's mean hides an agent that learned nothing. What is remarkable is only what the others
do not do as well: where rest is best, all rest. An agent is compared with the median of its peers,
which one or two other odd ones among them do not move.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# How much is looked at, before anything is said of an agent.
LEAST_STEPS = 2000
LEAST_GAMES = 50
LEAST_PEERS = 2
# Its peers must work in so many of their steps for it to be odd that an agent works in less than
# so small a share of that.
OFTEN = 0.05
SELDOM = 0.02
# An agent whose every step is the same is odd where its peers' most frequent action is not.
NEARLY_ALWAYS = 0.9
# Far behind: by half a standard deviation of a game's return (Cohen 1988, "Statistical Power
# Analysis for the Behavioral Sciences": a medium effect), and surely so.
FAR = 0.5
STANDARD_ERRORS = 4.0
# Where games hardly differ, by this share of what the peers return, too.
LEAST_GAP = 1e-3


@dataclass(frozen=True)
class Figures:
    """What the P agents of a population did in a rollout.

    Attributes
    ----------
    actions
        int64 ``[P, N + 1]``: how often each rested, then how often it worked at each house; what
        :func:`tally` counts.
    returns
        For each agent the returns of its games that ended.
    """

    actions: NDArray[np.int64]
    returns: Sequence[Sequence[float]]


def tally(
    actions: NDArray[np.integer], counted: NDArray[np.bool_], num_houses: int
) -> NDArray[np.int64]:
    """Count what one agent did: int64 ``[N + 1]``, rest first and then work at each house.

    Parameters
    ----------
    actions, counted
        ``[n, 3]`` (house, mode, signal), as experience has them. A step whose mode does not count,
        in which signals are given, is left out.
    """
    house, mode = actions[:, 0].astype(np.int64), actions[:, 1]
    done = np.where(mode == 1, house + 1, 0)[counted[:, 1]]
    return np.bincount(done, minlength=num_houses + 1).astype(np.int64)


class Recent:
    """Figures of the last rollouts together.

    Parameters
    ----------
    rollouts
        How many.
    """

    def __init__(self, rollouts: int = 10) -> None:
        self._figures: deque[Figures] = deque(maxlen=rollouts)

    def add(self, figures: Figures) -> None:
        """Take in those of one more rollout, and forget the oldest."""
        self._figures.append(figures)

    def remarks(self) -> list[str]:
        """Name the outliers of these rollouts; see :func:`outliers`."""
        if not self._figures:
            return []
        actions = np.sum([figures.actions for figures in self._figures], axis=0)
        returns = [
            [value for figures in self._figures for value in figures.returns[agent]]
            for agent in range(len(actions))
        ]
        return outliers(Figures(actions, returns))


def outliers(figures: Figures) -> list[str]:
    """Name agents that do not act, always act alike, or lie far behind, where their peers do not.

    Agents of whom too little was seen are neither named nor anybody's peers.
    """
    return _idle_or_rigid(figures.actions) + _behind(figures.returns)


def _idle_or_rigid(actions: NDArray[np.int64]) -> list[str]:
    """Name agents by what they do."""
    steps = actions.sum(1)
    known = np.flatnonzero(steps >= LEAST_STEPS)
    shares = actions / np.maximum(steps, 1)[:, None]
    work, most = 1 - shares[:, 0], shares.max(1)
    remarks = []
    for agent in known:
        peers = known[known != agent]
        if len(peers) < LEAST_PEERS:
            continue
        last = f"of its last {steps[agent]:,} steps"
        usual = float(np.median(work[peers]))
        if usual >= OFTEN and work[agent] < SELDOM * usual:
            how = "has not worked in any" if work[agent] == 0 else f"worked in {work[agent]:.2%}"
            remarks.append(f"agent {agent} {how} {last}; its peers do in {usual:.0%} of theirs")
            continue
        others = float(np.median(most[peers]))
        if most[agent] == 1 and work[agent] == 1 and others < NEARLY_ALWAYS:
            house = int(actions[agent].argmax()) - 1
            remarks.append(
                f"agent {agent} worked at house {house} in each {last}; "
                f"what its peers do most takes {others:.0%} of theirs"
            )
    return remarks


def _behind(returns: Sequence[Sequence[float]]) -> list[str]:
    """Name agents whose games return far less than those of their peers."""
    known = [agent for agent, values in enumerate(returns) if len(values) >= LEAST_GAMES]
    means = {agent: float(np.mean(returns[agent])) for agent in known}
    variances = {agent: float(np.var(returns[agent], ddof=1)) for agent in known}
    remarks = []
    for agent in known:
        peers = [peer for peer in known if peer != agent]
        if len(peers) < LEAST_PEERS:
            continue
        middle = float(np.median([means[peer] for peer in peers]))
        gap = middle - means[agent]
        spread = math.sqrt(float(np.median([variances[peer] for peer in peers])))
        # The median of the peers is about as uncertain as one of them, at most.
        error = math.sqrt(
            variances[agent] / len(returns[agent])
            + max(variances[peer] / len(returns[peer]) for peer in peers)
        )
        if gap > max(FAR * spread, STANDARD_ERRORS * error, LEAST_GAP * abs(middle)):
            remarks.append(
                f"agent {agent} returns {gap:,.1f} ± {1.96 * error:,.1f} less a game than the "
                "median of its peers"
            )
    return remarks
