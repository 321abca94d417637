"""The game in counts: what of a scenario the team's best mean return depends on.

See the package's docstring for why counts suffice. `CountGame.from_scenario` refuses the scenarios
where they do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb
from typing import Protocol

import numpy as np
import numpy.typing as npt

from brigade.optimum.decisions import Pastime, Spreads, all_spreads


class Parameters(Protocol):
    """The parameters of a `brigade.Scenario` that are read here."""

    @property
    def num_houses(self) -> int: ...  # noqa: D102
    @property
    def min_nights(self) -> int: ...  # noqa: D102
    @property
    def prob_house_catches_fire(self) -> float: ...  # noqa: D102
    @property
    def prob_solo_agent_extinguishes_fire(self) -> float: ...  # noqa: D102
    @property
    def extinguish_mode(self) -> str: ...  # noqa: D102
    @property
    def action_validity_mode(self) -> str: ...  # noqa: D102
    @property
    def distance_cost_alpha(self) -> float: ...  # noqa: D102
    @property
    def team_reward_house_survives(self) -> float: ...  # noqa: D102
    @property
    def team_penalty_house_burns(self) -> float: ...  # noqa: D102
    @property
    def reward_own_house_survives(self) -> float | list[float]: ...  # noqa: D102
    @property
    def reward_other_house_survives(self) -> float | list[float]: ...  # noqa: D102
    @property
    def penalty_own_house_burns(self) -> float | list[float]: ...  # noqa: D102
    @property
    def penalty_other_house_burns(self) -> float | list[float]: ...  # noqa: D102
    @property
    def cost_to_work_one_night(self) -> float: ...  # noqa: D102
    @property
    def reward_rest(self) -> float: ...  # noqa: D102
    @property
    def progress_shaping_coef(self) -> float: ...  # noqa: D102
    @property
    def action_shaping_alpha(self) -> float: ...  # noqa: D102
    @property
    def action_shaping_beta(self) -> float: ...  # noqa: D102
    @property
    def team_welfare_kind(self) -> str: ...  # noqa: D102
    @property
    def team_welfare_lambda(self) -> float: ...  # noqa: D102
    @property
    def team_welfare_gamma(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class CountGame:
    """A scenario for a team, reduced to counts of houses.

    A state is (night, burning, ruined), nights from ``min_nights`` on being one. Arrays over
    states are indexed ``[burning, ruined]`` with side N + 1 and mean nothing where burning +
    ruined > N. All rewards are means per agent.

    Attributes
    ----------
    num_houses, num_agents, min_nights
        N, A and the first night after which the game may end.
    ignition
        Probability that a safe house catches fire in a night.
    solo
        Probability that one worker puts a fire out.
    saved_stake, ruined_stake
        What a saved house brings and a ruined one costs (each night), summed over the seats'
        ownership terms.
    team_reward, team_penalty
        Per agent, if all houses are safe, or ruined.
    work_cost, rest_reward
        Per seat and night.
    progress, alpha, beta
        The shaping terms of the same names.
    welfare, welfare_gamma
        Weight (0 where ``team_welfare_kind`` is none) and factor of the welfare potential.
    """

    num_houses: int
    num_agents: int
    min_nights: int
    ignition: float
    solo: float
    saved_stake: float
    ruined_stake: float
    team_reward: float
    team_penalty: float
    work_cost: float
    rest_reward: float
    progress: float
    alpha: float
    beta: float
    welfare: float
    welfare_gamma: float

    @classmethod
    def from_scenario(cls, scenario: Parameters, num_agents: int) -> CountGame:
        """Reduce a scenario to counts.

        Raises
        ------
        ValueError
            Where counts do not decide the mean return; the sentence names the parameter.
        """
        if num_agents < 1:
            raise ValueError(f"num_agents = {num_agents} must be at least 1")
        houses = scenario.num_houses
        if scenario.extinguish_mode != "bernoulli":
            raise ValueError(
                f"extinguish_mode = {scenario.extinguish_mode!r}: the optimum is exact for "
                "'bernoulli' only, since fires that outlive the night spread, and where they "
                "burn then matters"
            )
        if scenario.distance_cost_alpha != 0.0:
            raise ValueError(
                f"distance_cost_alpha = {scenario.distance_cost_alpha:g}: the optimum is exact "
                "for 0 only, since with a cost of distance it matters which house burns"
            )
        # On a ring of three or fewer every house is next to every home.
        if scenario.action_validity_mode != "always_valid" and houses > 3:
            raise ValueError(
                f"action_validity_mode = {scenario.action_validity_mode!r}: with more than 3 "
                "houses the optimum is exact for 'always_valid' only, since not every seat "
                "reaches every house"
            )
        return cls(
            num_houses=houses,
            num_agents=num_agents,
            min_nights=scenario.min_nights,
            ignition=scenario.prob_house_catches_fire,
            solo=scenario.prob_solo_agent_extinguishes_fire,
            saved_stake=_stake(
                ("reward_own_house_survives", scenario.reward_own_house_survives),
                ("reward_other_house_survives", scenario.reward_other_house_survives),
                num_agents,
                houses,
            ),
            ruined_stake=_stake(
                ("penalty_own_house_burns", scenario.penalty_own_house_burns),
                ("penalty_other_house_burns", scenario.penalty_other_house_burns),
                num_agents,
                houses,
            ),
            team_reward=scenario.team_reward_house_survives,
            team_penalty=scenario.team_penalty_house_burns,
            work_cost=scenario.cost_to_work_one_night,
            rest_reward=scenario.reward_rest,
            progress=scenario.progress_shaping_coef,
            alpha=scenario.action_shaping_alpha,
            beta=scenario.action_shaping_beta,
            welfare=(0.0 if scenario.team_welfare_kind == "none" else scenario.team_welfare_lambda),
            welfare_gamma=scenario.team_welfare_gamma,
        )

    @cached_property
    def spreads(self) -> Spreads:
        """The decisions of the team."""
        return all_spreads(self.num_agents, self.num_houses, self.solo)

    @cached_property
    def ignites(self) -> npt.NDArray[np.float64]:
        """Probability that b of m houses catch fire, float64 [N + 1 (m), N + 1 (b)]."""
        side = self.num_houses + 1
        return np.array(
            [
                [
                    comb(m, b) * self.ignition**b * (1.0 - self.ignition) ** max(m - b, 0)
                    for b in range(side)
                ]
                for m in range(side)
            ]
        )

    @cached_property
    def goes_on(self) -> npt.NDArray[np.float64]:
        """`ignites` less the outcomes that end the game from night ``min_nights`` on.

        float64 [N + 1 (m), N + 1 (b)]: nothing where all houses are ruined (m = 0), and nothing
        where all are safe (m = N, b = 0).
        """
        chance = self.ignites.copy()
        chance[0, 0] = 0.0
        chance[self.num_houses, 0] = 0.0
        return chance

    @cached_property
    def ends(self) -> npt.NDArray[np.float64]:
        """Probability that the game ends with m houses not ruined, float64 [N + 1 (m)]."""
        chance = np.zeros(self.num_houses + 1)
        chance[0] = 1.0
        chance[self.num_houses] = self.ignites[self.num_houses, 0]
        return chance

    @cached_property
    def standing(self) -> npt.NDArray[np.int64]:
        """Houses not ruined after k of the fires are out.

        int64 [N + 1 (burning), N + 1 (ruined), K + 1 (put out)], clipped into 0 to N where the
        state or the number put out is impossible.
        """
        side = self.num_houses + 1
        burning, ruined, saved = np.ogrid[:side, :side, : self.spreads.put_out.shape[1]]
        left = self.num_houses - burning - ruined + saved
        return np.asarray(np.clip(left, 0, self.num_houses))

    def house_rewards(self, final: bool) -> npt.NDArray[np.float64]:
        """Work out a night's reward from all but work and rest, given how many fires are put out.

        Parameters
        ----------
        final
            Whether the game may end with this night, which the welfare potential notices.

        Returns
        -------
        float64 [N + 1 (burning), N + 1 (ruined), K + 1 (put out)]
            Expected reward, mean per agent.
        """
        side = self.num_houses + 1
        burning, ruined, saved = np.ogrid[:side, :side, : self.spreads.put_out.shape[1]]
        standing = self.standing.astype(np.float64)
        safe_before = (self.num_houses - burning - ruined).astype(np.float64)
        calm = 1.0 - self.ignition
        # A saved house may catch fire again in the same night; then it counts as not saved.
        saved_pay = (self.saved_stake + self.alpha) * saved * calm / self.num_agents
        ruined_now = self.num_houses - standing
        ruined_pay = -self.ruined_stake * ruined_now / self.num_agents
        team = (
            self.team_reward * standing * calm - self.team_penalty * ruined_now
        ) / self.num_houses
        progress = self.progress * (standing * calm - safe_before)
        before = self._potential(safe_before, burning, ruined)
        after = self._potential(standing * calm, standing * self.ignition, ruined_now)
        if final:
            all_safe = self.ends[self.num_houses] * self.team_reward
            after = np.where(standing == self.num_houses, after - all_safe, after)
            after = np.where(standing == 0, 0.0, after)
        welfare = self.welfare * (self.welfare_gamma * after - before)
        return np.asarray(saved_pay + ruined_pay + team + progress + welfare)

    def _potential(
        self,
        safe: npt.NDArray[np.float64],
        burning: npt.NDArray[np.float64],
        ruined: npt.NDArray[np.float64],
    ) -> npt.NDArray[np.float64]:
        """Welfare potential of (mean) counts of houses."""
        worth = self.team_reward * safe - self.team_penalty * (ruined + 0.5 * burning)
        return np.asarray(worth / self.num_houses)

    @cached_property
    def idle_pay(self) -> npt.NDArray[np.float64]:
        """What a seat that fights no fire gets for each use of its night.

        float64 [3, N + 1 (burning), N + 1 (ruined)] in the order of `Pastime`;
        -inf where there is no such house. Per seat, not per agent's mean.
        """
        side = self.num_houses + 1
        burning, ruined = np.ogrid[:side, :side]
        at_safe = self.beta * (1.0 - self.ignition) - self.work_cost
        pay = np.full((len(Pastime), side, side), -np.inf)
        pay[Pastime.REST] = self.rest_reward
        pay[Pastime.WORK_AT_SAFE][burning + ruined < self.num_houses] = at_safe
        pay[Pastime.WORK_AT_RUINED][:, 1:] = -self.work_cost
        return pay

    @cached_property
    def idle_choice(self) -> npt.NDArray[np.int64]:
        """The best `Pastime`, int64 [N + 1 (burning), N + 1 (ruined)]."""
        return np.asarray(np.argmax(self.idle_pay, axis=0))

    @cached_property
    def idle_best(self) -> npt.NDArray[np.float64]:
        """What the best use pays, float64 [N + 1 (burning), N + 1 (ruined)], per seat."""
        return np.asarray(np.max(self.idle_pay, axis=0))


def _stake(
    own: tuple[str, float | Sequence[float]],
    other: tuple[str, float | Sequence[float]],
    num_agents: int,
    num_houses: int,
) -> float:
    """Sum what one house brings over the seats; ValueError where houses differ in it.

    Every house has exactly one owner, so house i brings ``own[i % A]`` plus everyone else's
    ``other``. Seats may differ as long as their houses do not.
    """
    per_seat = []
    for name, value in (own, other):
        values = np.asarray(value, dtype=np.float64)
        if values.ndim and values.shape != (num_agents,):
            raise ValueError(f"{name} has {values.size} values, but there are {num_agents} seats")
        per_seat.append(np.broadcast_to(values, (num_agents,)))
    owners = slice(0, min(num_agents, num_houses))
    total = (per_seat[0] - per_seat[1])[owners] + per_seat[1].sum()
    # Parameters may be 32-bit, so sums that are equal on paper differ by their rounding.
    if np.ptp(total) > 1e-6 * max(1.0, float(np.abs(per_seat).sum())):
        uneven = [n for (n, _), v in zip((own, other), per_seat, strict=True) if np.ptp(v) > 0.0]
        raise ValueError(
            f"{' and '.join(uneven)}: the optimum is exact only where every house is worth the "
            f"same to the team, but here the seats' values differ"
        )
    return float(total[0])
