"""Which agents of a population are unlike their peers, in sentences that name them. Pure.

A population's mean hides an agent that learned nothing. What is remarkable is only what the others
do not do as well: where rest is best, all rest. An agent is compared with the median of its peers,
which one or two other odd ones among them do not move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from brigade.intervals import student_quantile

# How much is looked at, before anything is said of an agent.
LEAST_STEPS = 2000
LEAST_GAMES = 50
LEAST_PEERS = 2
# A look is taken once the agents have been seen so many times as much, in the median.
ENOUGH = 2
# Its peers must act in so many of their steps for it to be odd that an agent acts in less than so
# small a share of that.
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
    """What the P agents of a population did for a while.

    Attributes
    ----------
    actions
        int64 ``[P, n]``: how often each did nothing, then how often it did whatever there is to
        do; see :class:`brigade.games.vector.Activities`. Just its steps, where n is 1. Of agents
        that do not learn there is nothing.
    returns
        For each agent the returns of its games that ended.
    activities
        What there is to do, ``[n]``, in words that follow an agent's name.
    verb
        The word for doing anything else than nothing.
    first
        The number of the first of these agents: peers are agents of one role.
    """

    actions: NDArray[np.int64]
    returns: Sequence[Sequence[float]]
    activities: Sequence[str]
    verb: str
    first: int = 0


@dataclass(frozen=True)
class Outlier:
    """An agent that is unlike its peers.

    Attributes
    ----------
    agent
        Which.
    kind
        ``"idle"``, ``"rigid"`` or ``"behind"``.
    sentence
        What is odd about it, for people.
    """

    agent: int
    kind: str
    sentence: str


def sentences(outliers: Sequence[Outlier], most: int = 8) -> list[str]:
    """What is said of outliers, in so many lines at most."""
    said = [outlier.sentence for outlier in outliers]
    if len(said) > most:
        said[most - 1 :] = [f"and {len(said) - most + 1} more that are unlike their peers"]
    return said


class Watch:
    """Looks at a population again and again, each time at what it did since the last look.

    Attributes
    ----------
    outliers
        Those of the last look who were it in the one before as well.
    """

    def __init__(self) -> None:
        self.outliers: list[Outlier] = []
        self._found: list[Outlier] = []
        self._actions: NDArray[np.int64] | None = None
        self._returns: list[list[float]] = []

    def add(self, figures: Figures) -> None:
        """Take in what was done in one more rollout, and look if it is enough by now."""
        if self._actions is None:
            self._actions = np.zeros_like(figures.actions)
            self._returns = [[] for _ in figures.returns]
        self._actions += figures.actions
        for all_, ended in zip(self._returns, figures.returns, strict=True):
            all_.extend(ended)
        steps = self._actions.sum(1)
        games = np.array([len(returns) for returns in self._returns])[steps > 0]
        if len(games) and (
            np.median(steps[steps > 0]) >= ENOUGH * LEAST_STEPS
            and np.median(games) >= ENOUGH * LEAST_GAMES
        ):
            self._look(replace(figures, actions=self._actions, returns=self._returns))

    def _look(self, figures: Figures) -> None:
        before = {(found.agent, found.kind) for found in self._found}
        self._found = outliers(figures)
        self.outliers = [each for each in self._found if (each.agent, each.kind) in before]
        self._actions, self._returns = None, []


def outliers(figures: Figures) -> list[Outlier]:
    """Name agents that do not act, always act alike, or lie far behind, where their peers do not.

    Agents of whom too little was seen are neither named nor anybody's peers.
    """
    return _idle_or_rigid(figures) + _behind(figures.returns, figures.first)


def median_of_others(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each of n values, at least two, the median of the other n - 1."""
    order = np.argsort(values)
    rank = np.empty(len(values), np.int64)
    rank[order] = np.arange(len(values))

    def other(place: int) -> NDArray[np.float64]:
        """The one in this place among the others, of each."""
        at: NDArray[np.float64] = values[order[place + (place >= rank)]]
        return at

    return (other((len(values) - 2) // 2) + other((len(values) - 1) // 2)) / 2


def _idle_or_rigid(figures: Figures) -> list[Outlier]:
    """Name agents by what they do."""
    actions, verb = figures.actions, figures.verb
    known = np.flatnonzero(actions.sum(1) >= LEAST_STEPS)
    if len(known) <= LEAST_PEERS:
        return []
    steps = actions[known].sum(1)
    shares = actions[known] / steps[:, None]
    acting, most = 1 - shares[:, 0], shares.max(1)
    usual, usually_most = median_of_others(acting), median_of_others(most)
    idle = (usual >= OFTEN) & (acting < SELDOM * usual)
    rigid = (most == 1) & (acting == 1) & (usually_most < NEARLY_ALWAYS)
    found = []
    for i in np.flatnonzero(idle | rigid):
        agent, last = figures.first + int(known[i]), f"of its last {steps[i]:,} steps"
        if idle[i]:
            how = f"has not {verb} in any" if acting[i] == 0 else f"{verb} in {acting[i]:.2%}"
            sentence = f"agent {agent} {how} {last}; its peers do in {usual[i]:.0%} of theirs"
        else:
            sentence = (
                f"agent {agent} {figures.activities[actions[known[i]].argmax()]} in each {last}; "
                f"what its peers do most takes {usually_most[i]:.0%} of theirs"
            )
        found.append(Outlier(agent, "idle" if idle[i] else "rigid", sentence))
    return found


def _behind(returns: Sequence[Sequence[float]], first: int) -> list[Outlier]:
    """Name agents whose games return far less than those of their peers."""
    known = [agent for agent, values in enumerate(returns) if len(values) >= LEAST_GAMES]
    if len(known) <= LEAST_PEERS:
        return []
    games = np.array([len(returns[agent]) for agent in known])
    means = np.array([np.mean(returns[agent]) for agent in known])
    variances = np.array([np.var(returns[agent], ddof=1) for agent in known])
    middle = median_of_others(means)
    gap = middle - means
    # The median of the peers is about as uncertain as one of them, at most.
    error = np.sqrt(variances / games + (variances / games).max())
    far = np.maximum(FAR * np.sqrt(median_of_others(variances)), LEAST_GAP * np.abs(middle))
    return [
        Outlier(
            first + known[i],
            "behind",
            f"agent {first + known[i]} returns {gap[i]:,.1f} ± "
            f"{student_quantile(int(games[i]) - 1) * error[i]:,.1f} less a game than the "
            "median of its peers",
        )
        for i in np.flatnonzero(gap > np.maximum(far, STANDARD_ERRORS * error))
    ]
