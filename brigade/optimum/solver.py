"""The optimum by dynamic programming.

`brigade.optimum.plan` maximises a sum of rewards; here this becomes the two objectives and their
error bounds.

The error bound is not a stopping rule but is checked afterwards, on the values themselves: with
e = the largest difference between the values and one more sweep of the full Bellman operator over
all states, the rounding of that sweep added,

- discounted: every value is within e / (1 - discount) of the optimum (Banach's fixed point);
- per night: no policy's reward per night exceeds price + e + max(v, 0) / (min_nights + 1), where v
  is the best value of a game when each night has to be paid for at the price: whatever the
  policy, E[reward - price * nights] <= v + e * E[nights].

The highest reward per night is found as Dinkelbach (*On nonlinear fractional programming*, 1967)
does for ratios: charge a price for each night, solve for the largest total, and raise the price to
the reward per night of the policy found, until it no longer rises. Where a policy can go on for
ever at a profit the total is infinite; then what that policy earns is the next price.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from brigade import interrupt
from brigade.optimum.decisions import Decision, Pastime
from brigade.optimum.evaluation import PolicyValue, evaluate
from brigade.optimum.game import CountGame, Parameters
from brigade.optimum.plan import EndlessError, Plan, best_plan, head_for
from brigade.optimum.policy import Policy, deciding

Objective = Literal["discounted", "per-night"]
"""Mean discounted return per agent, or the team's long-run reward per night."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best that a team can do.

    Attributes
    ----------
    game
        The scenario in counts.
    objective
        What was maximised.
    discount
        Factor per night of the discounted return.
    max_nights
        Games are cut after that many nights; None where they are not.
    value
        The optimum: mean discounted return per agent, or the team's reward per night.
    error_bound
        The exact optimum lies within this of ``value``.
    worth
        The optimal policy's value under both objectives, worked out from the policy alone.
    decisions : int64 [E, N + 1, N + 1]
        Number of the best spread in ``[min(night, E - 1), burning, ruined]``, E being
        ``min_nights + 1``, or ``max_nights`` where that is given; among equally good ones that
        with the fewest workers.
    """

    game: CountGame
    objective: Objective
    discount: float
    max_nights: int | None
    value: float
    error_bound: float
    worth: PolicyValue
    decisions: npt.NDArray[np.int64]

    @property
    def policy(self) -> Policy:
        """The optimal policy, to be evaluated like any other."""
        return deciding(self.game, "optimum", self.decisions)

    def decision(self, night: int, burning: int, ruined: int) -> Decision:
        """Look up the best decision in a state; ValueError where there is no such state."""
        if night < 0 or burning < 0 or ruined < 0 or burning + ruined > self.game.num_houses:
            raise ValueError(
                f"no state has night {night}, {burning} burning and {ruined} ruined "
                f"of {self.game.num_houses} houses"
            )
        entry = min(night, len(self.decisions) - 1)
        crews = self.game.spreads.crews[self.decisions[entry, burning, ruined]]
        return Decision(
            crews=crews,
            idle=self.game.num_agents - sum(crews),
            pastime=Pastime(int(self.game.idle_choice[burning, ruined])),
        )


def solve(
    scenario: Parameters,
    num_agents: int = 4,
    discount: float = 0.99,
    objective: Objective = "discounted",
    max_nights: int | None = None,
) -> Optimum:
    """Find the exact optimum of a scenario for a team.

    Parameters
    ----------
    scenario
        A `brigade.Scenario`.
    num_agents
        Seats, all playing for the team.
    discount
        Factor per night, at least 0 and less than 1.
    objective
        ``"discounted"``: the mean discounted return per agent. ``"per-night"``: the reward per
        night, summed over the seats, of games that follow each other.
    max_nights
        Where given, the best for games that are cut after that many nights.

    Raises
    ------
    ValueError
        Where the optimum cannot be had exactly; the sentence names the parameter.
    """
    return solve_game(
        CountGame.from_scenario(scenario, num_agents), discount, objective, max_nights
    )


def solve_game(
    game: CountGame,
    discount: float = 0.99,
    objective: Objective = "discounted",
    max_nights: int | None = None,
) -> Optimum:
    """Find the optimum of a game in counts; see `solve`."""
    if not 0.0 <= discount < 1.0:
        raise ValueError(f"discount = {discount:g} must be at least 0 and less than 1")
    if max_nights is not None and max_nights < 1:
        raise ValueError(f"max_nights = {max_nights} must be at least 1")
    if objective == "discounted":
        return _solve_discounted(game, discount, max_nights)
    if objective == "per-night":
        return _solve_per_night(game, discount, max_nights)
    raise ValueError(f"objective = {objective!r} must be 'discounted' or 'per-night'")


def _solve_discounted(game: CountGame, discount: float, max_nights: int | None) -> Optimum:
    plan = best_plan(game, discount, 0.0, max_nights)
    nights = 1.0 / (1.0 - discount) if max_nights is None else float(max_nights)
    return Optimum(
        game=game,
        objective="discounted",
        discount=discount,
        max_nights=max_nights,
        value=plan.start_value,
        error_bound=plan.residual * nights,
        worth=evaluate(game, deciding(game, "optimum", plan.decisions), discount, max_nights),
        decisions=plan.decisions,
    )


def _solve_per_night(game: CountGame, discount: float, max_nights: int | None) -> Optimum:
    side = game.num_houses + 1
    decisions = np.zeros((1, side, side), dtype=np.int64)
    worth = evaluate(game, deciding(game, "resting", decisions), discount, max_nights)
    while True:
        interrupt.check()
        price = worth.reward_per_night / game.num_agents
        plan: Plan | None = None
        try:
            plan = best_plan(game, 1.0, price, max_nights)
            found = plan.decisions
        except EndlessError as endless:
            found = head_for(game, price, endless)
        found_worth = evaluate(game, deciding(game, "found", found), discount, max_nights)
        gain = found_worth.reward_per_night - worth.reward_per_night
        slack = 1e-12 * max(1.0, abs(worth.reward_per_night))
        # What is as good as the best before it is preferred: at the final price its decisions
        # are the best in every state, not only in those that it visits itself.
        if gain >= -slack:
            decisions, worth = found, found_worth
        if gain <= slack:
            break
    while plan is None:
        # Going on for ever earns the price up to rounding; any higher price gives a bound too.
        price += 1e-9 * max(1.0, abs(price))
        with suppress(EndlessError):
            plan = best_plan(game, 1.0, price, max_nights)
    shortest = game.min_nights + 1 if max_nights is None else min(game.min_nights + 1, max_nights)
    excess = plan.residual + max(plan.start_value, 0.0) / shortest
    limit = game.num_agents * (price + excess)
    return Optimum(
        game=game,
        objective="per-night",
        discount=discount,
        max_nights=max_nights,
        value=worth.reward_per_night,
        error_bound=max(limit - worth.reward_per_night, 0.0),
        worth=worth,
        decisions=decisions,
    )
