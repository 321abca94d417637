"""The exact value of a policy, by following how many houses are left standing.

Before the fires of a night are drawn, a game is fully described by its night and by the number m
of houses not ruined: each of the m then burns with the same chance, whatever went before. m never
grows. So a policy's expected visits to each m follow by going through m = N, ..., 0 once: what
stays at m night after night is a geometric series, summed in closed form. Its denominator, the
chance to leave m, is added up from its parts and never formed as 1 minus something close to 1, so
that games of 1e12 nights are as exact as games of 13.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brigade.optimum.game import CountGame
from brigade.optimum.policy import Policy


@dataclass(frozen=True)
class PolicyValue:
    """What a policy is worth, in expectation over everything.

    Attributes
    ----------
    discounted_return
        Mean discounted return per agent and game.
    reward_per_night
        The team's (summed over seats) long-run reward per night when games follow each other:
        E[reward of a game] / E[nights of a game] (the renewal-reward theorem).
    nights_per_game
        Mean number of nights of a game; infinite where games may never end.
    """

    discounted_return: float
    reward_per_night: float
    nights_per_game: float


def evaluate(
    game: CountGame, policy: Policy, discount: float = 0.99, max_nights: int | None = None
) -> PolicyValue:
    """Work out a policy's value exactly.

    Parameters
    ----------
    game
        The scenario in counts.
    policy
        A policy for the same game.
    discount
        Factor per night, at least 0 and less than 1.
    max_nights
        Where given, games are cut after that many nights and nothing is added for the rest.
    """
    discounted = _follow(game, policy, discount, max_nights)
    plain = _follow(game, policy, 1.0, max_nights)
    if plain.endless_share > 0.0:
        # Sooner or later one game goes on for ever, and from then on it is all there is.
        per_night, nights = plain.endless_reward / plain.endless_share, np.inf
    else:
        per_night, nights = plain.reward / plain.nights, plain.nights
    return PolicyValue(
        discounted_return=float(discounted.reward),
        reward_per_night=float(game.num_agents * per_night),
        nights_per_game=float(nights),
    )


@dataclass
class _Sums:
    """Expected sums over one game, each night weighted by the discount; means per agent."""

    reward: float = 0.0
    nights: float = 0.0
    endless_share: float = 0.0
    """Chance that the game never ends."""
    endless_reward: float = 0.0
    """That chance times the reward of each night from then on."""


@dataclass(frozen=True, eq=False)
class _Stage:
    """One night in terms of m, the houses not ruined before its fires are drawn.

    Attributes
    ----------
    reward : float64 [N + 1 (m)]
        Expected reward of the night, mean per agent.
    played : float64 [N + 1 (m)]
        Chance that the fires drawn do not end the game first.
    moves : float64 [N + 1 (m), N + 1 (m afterwards)]
        Chance to have the night played and that many houses left.
    """

    reward: npt.NDArray[np.float64]
    played: npt.NDArray[np.float64]
    moves: npt.NDArray[np.float64]

    @classmethod
    def of(cls, game: CountGame, policy: Policy, night: int) -> _Stage:
        # Up to night T a state is played whatever it is; later only where it did not end the game.
        fires = game.goes_on if night > game.min_nights else game.ignites
        put_out, effort = policy.at(night)
        rewards = effort + (put_out * game.house_rewards(night >= game.min_nights)).sum(axis=-1)
        side = game.num_houses + 1
        m, b = np.ogrid[:side, :side]
        r = game.num_houses - m
        moves = np.zeros((side, side))
        np.add.at(
            moves,
            (m[..., None], game.standing[b, r]),
            fires[..., None] * put_out[b, r],
        )
        return cls(
            reward=(fires * rewards[b, r]).sum(axis=1), played=fires.sum(axis=1), moves=moves
        )


def _follow(game: CountGame, policy: Policy, discount: float, max_nights: int | None) -> _Sums:
    sums = _Sums()
    flow = np.zeros(game.num_houses + 1)  # discounted chance to have m houses left
    flow[game.num_houses] = 1.0
    nights = game.min_nights + 1 if max_nights is None else max_nights
    stage = _Stage.of(game, policy, 0)
    for night in range(nights):
        # The rules change at night T and after it, the policy from night to night if it likes.
        if 0 < night <= max(game.min_nights + 1, len(policy.effort) - 1):
            stage = _Stage.of(game, policy, night)
        sums.reward += float(flow @ stage.reward)
        sums.nights += float(flow @ stage.played)
        flow = discount * (flow @ stage.moves)
    if max_nights is None:
        _follow_for_ever(game, _Stage.of(game, policy, nights), discount, flow, sums)
    return sums


def _follow_for_ever(
    game: CountGame,
    stage: _Stage,
    discount: float,
    flow: npt.NDArray[np.float64],
    sums: _Sums,
) -> None:
    """Add the nights after night T to ``sums``, from the chances ``flow`` to start them with m."""
    for m in range(game.num_houses, -1, -1):
        leaves = (1.0 - discount) + discount * (game.ends[m] + float(stage.moves[m, :m].sum()))
        if leaves > 0.0:
            visits = float(flow[m]) / leaves
            sums.reward += visits * float(stage.reward[m])
            sums.nights += visits * float(stage.played[m])
            flow[:m] += discount * visits * stage.moves[m, :m]
        else:
            sums.endless_share += float(flow[m])
            sums.endless_reward += float(flow[m] * stage.reward[m])
