"""A resume point has all that a checkpoint needs, whoever comes and goes meanwhile."""

import numpy as np

from brigade.policy.network import Network
from brigade.policy.population import Population
from brigade.ppo.agents import AgentState
from brigade.sim.resume_point import (
    ResumePoint,
    ResumePoints,
    acting_states,
    missing_policies,
)

NETWORK = Network(num_features=2, action_nvec=(2,), hidden_size=1)
AGENTS = Population.of(NETWORK, 3)


def state(version: int) -> AgentState:
    row = np.full(NETWORK.num_parameters, version, np.float32)
    return AgentState(version, version, row, row, row, np.ones(3))


def point(versions: dict[int, int], acting: dict[int, int], frozen: tuple[int, ...]) -> ResumePoint:
    playing = {agent: state(version) for agent, version in acting.items()}
    return ResumePoint(versions, playing, {}, {"rollout": 3, "frozen": sorted(frozen)})


def test_it_waits_for_each_agents_version_and_takes_no_other():
    here = point({0: 3, 1: 3}, {0: 2, 1: 2}, frozen=())
    here.arrived(0, state(3))
    here.arrived(1, state(2))
    assert not here.complete
    here.arrived(1, state(3))
    assert here.complete
    found = here.simulator()
    assert found["acting"] == {0: 2, 1: 2}
    acting = acting_states(found, AGENTS)
    assert [acting[agent].version for agent in (0, 1)] == [2, 2]


def test_an_agent_whose_learner_was_lost_is_frozen_in_it_and_no_other_is():
    # It was noted while all had learners, so the schedule would have agent 1 play with version 2.
    here = point({0: 3, 1: 3, 2: 1}, {0: 2, 1: 2, 2: 1}, frozen=(2,))
    here.arrived(0, state(3))
    here.take_as_final({2: state(1)})
    here.take_as_final({0: state(3), 1: state(1), 2: state(1)})
    assert here.complete
    found = here.simulator()
    assert found["frozen"] == [1, 2]
    needed = {agent: 2 for agent in (0, 1, 2) if agent not in found["frozen"]}
    assert missing_policies(needed, (acting_states(found, AGENTS), here.states)) == []


def test_the_newest_complete_point_counts_and_those_before_it_are_forgotten():
    points = ResumePoints()
    first, second, third = (point({0: v, 1: v}, {}, frozen=()) for v in (1, 2, 3))
    for each in (first, second, third):
        points.note(each)
    for agent, version in ((0, 1), (0, 2), (1, 1)):
        points.arrived(agent, state(version))
    assert points.complete is first
    assert points.newest is third
    points.arrived(1, state(2))
    assert points.complete is second
    points.take_as_final({0: state(2), 1: state(2)})
    assert points.complete is third
