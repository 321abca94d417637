"""The best decisions for a sum of rewards, less a price for every night.

Nights before ``min_nights`` are solved by backward induction. From then on the game has no clock,
and its states are solved in the order of the houses left standing, m = 0, 1, ..., N: m never
grows, and before the fires of a night are drawn nothing but m matters, so the only unknown at each
m is the one number x = "value of going on with m houses". It solves x = f(x), where f is the
largest of finitely many increasing straight lines of slope below 1 (one per choice of decisions);
policy iteration, which is Newton's method here, climbs to the solution in a few steps from below
(Puterman, *Markov Decision Processes*, 1994, section 6.4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brigade.optimum.game import CountGame

TIE = 1e-11
"""Decisions whose values differ by less, relative to the value, count as equally good."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A solution for given discount and price.

    Attributes
    ----------
    start_value
        Mean per agent, over the first fires.
    residual
        Largest change of a value by one more Bellman sweep, with the sweep's rounding.
    decisions : int64 [E, N + 1, N + 1]
        Numbers of spreads, ``[night, burning, ruined]``.
    """

    start_value: float
    residual: float
    decisions: npt.NDArray[np.int64]


class EndlessError(Exception):
    """Going on for ever with some number of houses makes a profit every night."""

    def __init__(self, standing: int, decisions: dict[int, int]) -> None:
        super().__init__(standing)
        self.standing = standing
        self.decisions = decisions  # burning -> number of the spread


def best_plan(
    game: CountGame,
    discount: float,
    price: float,
    max_nights: int | None,
    prize: tuple[int, float] | None = None,
) -> Plan:
    """Maximise the expected sum of rewards less the price of the nights.

    ``prize`` fixes the value of going on with so many houses (for `head_for`).
    """
    side = game.num_houses + 1
    early = game.house_rewards(final=False) - price
    late = game.house_rewards(final=True) - price
    nights = game.min_nights + 1 if max_nights is None else max_nights
    decisions = np.zeros((nights, side, side), dtype=np.int64)
    ahead = _going_on(game, late, discount, prize) if max_nights is None else np.zeros(side)
    largest, change = float(np.abs(late).max()), 0.0
    values = np.zeros((side, side))
    for night in range(nights - 1, -1, -1):
        may_end = night >= game.min_nights
        if night < nights - 1:
            ahead = _ahead(game.goes_on if may_end else game.ignites, values)
        rewards = late if may_end else early
        values, decisions[night] = _sweep(game, rewards, discount, ahead)
        largest = max(largest, float(np.abs(values[_visible(game)]).max()))
        if max_nights is None and night == nights - 1:
            again, _ = _sweep(game, late, discount, _ahead(game.goes_on, values))
            change = float(np.abs(again - values)[_visible(game)].max())
    rounding = np.finfo(np.float64).eps * (game.spreads.put_out.shape[1] + side + 8) * largest
    return Plan(
        start_value=float(game.ignites[game.num_houses] @ values[:, 0]),
        residual=change + float(rounding),
        decisions=decisions,
    )


def _visible(game: CountGame) -> npt.NDArray[np.bool_]:
    """Mark the states that can be, bool [N + 1 (burning), N + 1 (ruined)].

    Where nothing ever catches fire that is one state only; in the others, a game could neither
    end nor change, so that without a discount they have no value.
    """
    side = game.num_houses + 1
    burning, ruined = np.ogrid[:side, :side]
    if game.ignition == 0.0:
        return np.asarray((burning == 0) & (ruined == 0))
    return np.asarray(burning + ruined <= game.num_houses)


def _ahead(
    chance: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Average values over the fires to come: float64 [N + 1 (m)] from [N + 1 (b), N + 1 (r)]."""
    return np.asarray(np.einsum("mb,bm->m", chance, values[:, ::-1]))


def _sweep(
    game: CountGame,
    rewards: npt.NDArray[np.float64],
    discount: float,
    ahead: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Apply the Bellman operator to one night.

    Parameters
    ----------
    rewards : float64 [N + 1, N + 1, K + 1]
        As `CountGame.house_rewards` gives them, less the price.
    ahead : float64 [N + 1 (m)]
        Expected value of the next night with m houses left.

    Returns
    -------
    values : float64 [N + 1, N + 1]
        Of the states ``[burning, ruined]``; 0 where there is no such state.
    decisions : int64 [N + 1, N + 1]
        The number of the best spread.
    """
    side = game.num_houses + 1
    values = np.zeros((side, side))
    decisions = np.zeros((side, side), dtype=np.int64)
    outcome = rewards + discount * ahead[game.standing]
    for burning in range(side):
        ruined = slice(0, side - burning)
        options = game.spreads.admissible(burning)
        worth = outcome[burning, ruined] @ game.spreads.put_out[options].T
        worth += _effort(game, options, game.idle_best[burning, ruined, None])
        best = worth.max(axis=1)
        near = worth >= (best - TIE * np.maximum(1.0, np.abs(best)))[:, None]
        values[burning, ruined] = best
        decisions[burning, ruined] = options[near.argmax(axis=1)]
    return values, decisions


def _effort(
    game: CountGame,
    options: npt.NDArray[np.int64],
    idle_best: npt.NDArray[np.float64] | float,
) -> npt.NDArray[np.float64]:
    """Pay for work and rest under each spread, mean per agent."""
    workers = game.spreads.workers[options]
    pay = -game.work_cost * workers + (game.num_agents - workers) * idle_best
    return np.asarray(pay / game.num_agents)


def _going_on(
    game: CountGame,
    rewards: npt.NDArray[np.float64],
    discount: float,
    prize: tuple[int, float] | None,
) -> npt.NDArray[np.float64]:
    """Solve the nights that have no clock: the value of going on with m houses, float64 [N + 1]."""
    ahead = np.zeros(game.num_houses + 1)
    for m in range(1, game.num_houses + 1):
        if prize is not None and m == prize[0]:
            ahead[m] = prize[1]
        elif game.ignition > 0.0 or discount < 1.0 or m == game.num_houses:
            ahead[m] = _Level.of(game, rewards, discount, m, ahead).solve()
    return ahead


@dataclass(frozen=True, eq=False)
class _Level:
    """The nights with m houses left, those with fewer being solved.

    With x for the value of going on with m houses, spread d at b fires is worth
    ``fixed[b][d] + discount * stays[b][d] * x``.
    """

    standing: int
    discount: float
    ends: float
    chances: dict[int, float]
    """Burning houses -> their probability, where positive and the game goes on."""
    options: dict[int, npt.NDArray[np.int64]]
    fixed: dict[int, npt.NDArray[np.float64]]
    stays: dict[int, npt.NDArray[np.float64]]
    leaves: dict[int, npt.NDArray[np.float64]]

    @classmethod
    def of(
        cls,
        game: CountGame,
        rewards: npt.NDArray[np.float64],
        discount: float,
        m: int,
        ahead: npt.NDArray[np.float64],
    ) -> _Level:
        ruined = game.num_houses - m
        level = cls(m, discount, float(game.ends[m]), {}, {}, {}, {}, {})
        for burning in np.flatnonzero(game.goes_on[m]).tolist():
            options = game.spreads.admissible(burning)
            put_out = game.spreads.put_out[options]
            fewer = put_out[:, :burning]  # not all of them: fewer houses are left
            after = ahead[m - burning : m - burning + fewer.shape[1]]
            fixed = put_out @ rewards[burning, ruined] + discount * (fewer @ after)
            fixed += _effort(game, options, float(game.idle_best[burning, ruined]))
            level.chances[burning] = float(game.goes_on[m, burning])
            level.options[burning] = options
            level.fixed[burning] = fixed
            level.stays[burning] = put_out[:, burning : burning + 1].sum(axis=1)
            level.leaves[burning] = fewer.sum(axis=1)
        return level

    def solve(self) -> float:
        """Climb to the x that is its own best value; `EndlessError` where there is none."""
        choice = dict.fromkeys(self.chances, 0)  # everyone rests: leaves for certain
        best = -np.inf
        while True:
            gain = sum(p * float(self.fixed[b][choice[b]]) for b, p in self.chances.items())
            leaving = sum(p * float(self.leaves[b][choice[b]]) for b, p in self.chances.items())
            # 1 - discount * (chance to stay), put together so that nothing cancels.
            leaving = (1.0 - self.discount) + self.discount * (self.ends + leaving)
            if leaving == 0.0:
                if gain <= TIE * max(1.0, abs(best)):
                    return float(best)
                spreads = {b: int(self.options[b][d]) for b, d in choice.items()}
                raise EndlessError(self.standing, spreads)
            value = gain / leaving
            if value <= best + 1e-15 * abs(best):
                return float(max(value, best))
            best = value
            for b, current in choice.items():
                worth = self.fixed[b] + self.discount * self.stays[b] * best
                top = int(worth.argmax())
                if worth[top] > worth[current] + 1e-14 * max(1.0, abs(float(worth[current]))):
                    choice[b] = top


def head_for(game: CountGame, price: float, endless: EndlessError) -> npt.NDArray[np.int64]:
    """Find decisions that reach the endless game and stay in it.

    Games follow each other until one of them gets there, so a large prize for it will do.
    """
    size = 1e12 * (1.0 + float(np.abs(game.house_rewards(final=True) - price).max()))
    prize = (endless.standing, size)
    found = best_plan(game, 1.0, price, max_nights=None, prize=prize).decisions
    for burning, number in endless.decisions.items():
        found[game.min_nights, burning, game.num_houses - endless.standing] = number
    return found
