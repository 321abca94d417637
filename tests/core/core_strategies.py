"""Random games for hypothesis."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from brigade._core import Scenario

PER_SEAT = (
    "reward_own_house_survives",
    "reward_other_house_survives",
    "penalty_own_house_burns",
    "penalty_other_house_burns",
)
AMOUNTS = (
    "cost_to_work_one_night",
    "distance_cost_alpha",
    "reward_rest",
    "team_reward_house_survives",
    "team_penalty_house_burns",
    "progress_shaping_coef",
    "action_shaping_alpha",
    "action_shaping_beta",
    "team_welfare_lambda",
)
PROBABILITIES = (
    "prob_house_catches_fire",
    "prob_solo_agent_extinguishes_fire",
    "prob_fire_spreads_to_neighbor",
)


@dataclass(frozen=True)
class Setup:
    """A scenario, the size of a team that can play it, and a seed."""

    scenario: Scenario
    num_agents: int
    seed: int

    @property
    def two_phase(self):
        return self.scenario.commitment_mode == "two_phase"

    def actions(self, rng, *shape):
        """Random actions, int32 [*shape, A, 3]."""
        limits = (self.scenario.num_houses, 2, 2)
        return rng.integers(0, limits, (*shape, self.num_agents, 3), dtype=np.int32)


@st.composite
def setups(draw, most_houses=12, most_agents=8):
    """Any game that the rules allow, up to these sizes."""
    num_houses = draw(st.integers(2, most_houses))
    num_agents = draw(st.integers(1, most_agents))
    amount = st.just(0.0) | st.floats(-50, 100, width=32)
    each = st.lists(amount, min_size=num_agents, max_size=num_agents)
    home = st.integers(0, num_houses - 1)
    homes = st.lists(home, min_size=num_agents, max_size=num_agents)
    probability = st.sampled_from([0.0, 0.1, 0.5, 1.0]) | st.floats(0, 1)
    parameters = {
        "num_houses": num_houses,
        "min_nights": draw(st.integers(0, 6)),
        "agent_home_positions": draw(st.none() | homes),
        "extinguish_mode": draw(st.sampled_from(["bernoulli", "continuous"])),
        "commitment_mode": draw(st.sampled_from(["simultaneous", "two_phase"])),
        "action_validity_mode": draw(st.sampled_from(["always_valid", "adjacent_only"])),
        "team_welfare_kind": draw(st.sampled_from(["none", "team_welfare_closed_form"])),
        "team_welfare_gamma": draw(st.floats(0, 1)),
        "suppression_per_worker": draw(st.sampled_from([0.0, 0.3, 0.5]) | st.floats(0, 1.5)),
    }
    parameters |= {name: draw(probability) for name in PROBABILITIES}
    parameters |= {name: draw(amount) for name in AMOUNTS}
    parameters |= {name: draw(amount | each) for name in PER_SEAT}
    return Setup(Scenario(**parameters), num_agents, draw(st.integers(0, 2**64 - 1)))
