"""Team policies in counts: what they put out and what their effort costs.

`Policy` is all that the value of a policy depends on, so that the optimum, the scripts and random
play are evaluated by the same code.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import comb, factorial

import numpy as np
import numpy.typing as npt

from brigade.optimum.decisions import Pastime, even_spread
from brigade.optimum.game import CountGame


@dataclass(frozen=True, eq=False)
class Policy:
    """What a team does in each state, as far as its mean return depends on it.

    States are ``[night, burning, ruined]``. The last of the E entries for nights stands for all
    later nights too: ``min_nights + 1`` entries tell apart all that matter where games are not
    cut, and one entry will do for a policy that does not look at the night.

    Attributes
    ----------
    name
        For tables.
    put_out : float64 [E, N + 1, N + 1, K + 1]
        Probability that k of the burning houses are put out.
    effort : float64 [E, N + 1, N + 1]
        Expected pay for work and rest, the work shaping of safe houses included; mean per agent.
    """

    name: str
    put_out: npt.NDArray[np.float64]
    effort: npt.NDArray[np.float64]

    def at(self, night: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """``put_out`` and ``effort`` of a night: float64 [N + 1, N + 1, K + 1], [N + 1, N + 1]."""
        entry = min(night, len(self.put_out) - 1)
        return self.put_out[entry], self.effort[entry]


def deciding(game: CountGame, name: str, decisions: npt.NDArray[np.int64]) -> Policy:
    """Make the policy that takes a spread in every state, with the idle at their best use.

    Parameters
    ----------
    game
        The scenario in counts.
    name
        For tables.
    decisions : int64 [E, N + 1, N + 1]
        Numbers of spreads, ``[night, burning, ruined]``.
    """
    spreads = game.spreads
    workers = spreads.workers[decisions]
    effort = -game.work_cost * workers + (game.num_agents - workers) * game.idle_best
    return Policy(name, spreads.put_out[decisions], effort / game.num_agents)


def resting(game: CountGame) -> Policy:
    """Everyone rests, every night."""
    side = game.num_houses + 1
    put_out = np.zeros((1, side, side, game.spreads.put_out.shape[1]))
    put_out[..., 0] = 1.0
    return Policy("resting", put_out, np.full((1, side, side), game.rest_reward))


def spread_out(game: CountGame) -> Policy:
    """Seat a works at burning house number (a mod burning), in index order; rests if none burns."""
    side = game.num_houses + 1
    numbers = [game.spreads.number(even_spread(game.num_agents, b)) for b in range(side)]
    put_out = np.empty((1, side, side, game.spreads.put_out.shape[1]))
    put_out[0] = game.spreads.put_out[numbers][:, None, :]
    effort = np.full((1, side, side), -game.work_cost)
    effort[0, 0] = game.rest_reward
    return Policy("spread", put_out, effort)


def random_play(game: CountGame) -> Policy:
    """Every seat draws its house and its mode uniformly, every night."""
    side, agents, spreads = game.num_houses + 1, game.num_agents, game.spreads
    at_one_house = 1.0 / (2 * game.num_houses)  # the chance that a seat works at a given house
    chance = np.zeros((side, len(spreads.crews)))
    for fires in range(side):
        elsewhere = 1.0 - fires * at_one_house
        for number in spreads.admissible(fires):
            crews = spreads.crews[number]
            fighting = sum(crews)
            # Who fights together, times which fires they pick.
            seatings = factorial(agents) // factorial(agents - fighting)
            places = comb(fires, len(crews)) * factorial(len(crews))
            for size, alike in Counter(crews).items():
                seatings //= factorial(size) ** alike
                places //= factorial(alike)
            chance[fires, number] = (
                seatings * places * at_one_house**fighting * elsewhere ** (agents - fighting)
            )
    put_out = np.empty((1, side, side, spreads.put_out.shape[1]))
    put_out[0] = (chance @ spreads.put_out)[:, None, :]
    burning, ruined = np.ogrid[:side, :side]
    safe = np.maximum(game.num_houses - burning - ruined, 0)
    pay = np.where(np.isfinite(game.idle_pay), game.idle_pay, 0.0)
    effort = (
        0.5 * pay[Pastime.REST]
        - at_one_house * burning * game.work_cost
        + at_one_house * safe * pay[Pastime.WORK_AT_SAFE]
        + at_one_house * ruined * pay[Pastime.WORK_AT_RUINED]
    )
    return Policy("random", put_out, effort[None])
