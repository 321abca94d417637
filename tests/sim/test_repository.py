"""The repository: versions arrive when they do, and act when they are told to."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from brigade.policy.network import Network
from brigade.policy.population import Population
from brigade.ppo.agents import AgentState
from brigade.sim.repository import Repository

NETWORK = Network(3, (2, 2), 4)


def state(version: int, statistics=(0.0, 0.0, 0.0)) -> AgentState:
    row = np.full(NETWORK.num_parameters, version + 0.5, np.float32)
    return AgentState(version, 10 * version, row, row * 2, row * 3, np.array(statistics))


def test_a_new_version_does_not_act_until_it_is_told_to():
    repository = Repository(Population.of(NETWORK, 2))
    assert repository.add(1, state(0))
    repository.act_with({1: 0})
    repository.add(1, state(1))
    assert repository.newest == {1: 1}
    assert repository.acting == {1: 0}
    assert (repository.parameters[0][1] == 0.5).all()
    repository.act_with({1: 1})
    assert repository.acting == {1: 1}
    assert (repository.parameters[0][1] == 1.5).all()
    assert not repository.parameters[0][0].any()


def test_parameters_are_changed_in_place():
    # Those who act look at this very tensor.
    repository = Repository(Population.of(NETWORK, 1))
    [parameters] = repository.parameters
    repository.add(0, state(0))
    repository.act_with({0: 0})
    assert repository.parameters[0] is parameters
    assert (parameters == 0.5).all()


def test_a_state_is_copied_when_it_acts():
    repository = Repository(Population.of(NETWORK, 1))
    given_ = state(0)
    repository.add(0, given_)
    repository.act_with({0: 0})
    given_.parameters[:] = -1
    assert (repository.parameters[0] == 0.5).all()


def test_a_state_whose_memory_cannot_be_written_may_act():
    # Received arrays are views of a message's frames.
    row = np.frombuffer(np.ones(NETWORK.num_parameters, np.float32).tobytes(), np.float32)
    statistics = np.frombuffer(np.zeros(3).tobytes())
    repository = Repository(Population.of(NETWORK, 1))
    repository.add(0, AgentState(0, 0, row, row, row, statistics))
    repository.act_with({0: 0})
    assert (repository.parameters[0] == 1).all()


@given(versions=st.lists(st.integers(0, 6), max_size=20))
def test_only_newer_versions_are_new(versions):
    repository = Repository(Population.of(NETWORK, 1))
    best = -1
    for version in versions:
        assert repository.add(0, state(version)) == (version > best)
        best = max(best, version)
        assert repository.newest == {0: best}
        assert repository.state(0).version == best


def test_old_versions_are_kept_until_nobody_needs_them():
    repository = Repository(Population.of(NETWORK, 1))
    for version in range(4):
        repository.add(0, state(version))
    repository.act_with({0: 2})
    kept = [v for v in range(5) if repository.state(0, v) is not None]
    assert kept == [2, 3]
    assert repository.state(0).version == 3
    repository.act_with({0: 3})
    assert repository.state(0, 2) is None


def test_an_agent_nobody_has_heard_of_has_no_state():
    repository = Repository(Population.of(NETWORK, 2))
    assert repository.state(0) is None
    assert repository.state(0, 3) is None
    assert repository.newest == {}


def test_value_units_are_those_of_the_acting_version():
    repository = Repository(Population.of(NETWORK, 2))
    assert torch.equal(repository.mean, torch.zeros(2))
    assert torch.equal(repository.deviation, torch.ones(2))
    # Weight 1/2, so the means are 6 and 40: deviation 2.
    repository.add(1, state(0, (0.5, 3.0, 20.0)))
    repository.act_with({1: 0})
    assert repository.mean.tolist() == [0, 6]
    assert repository.deviation.tolist() == [1, 2]
    repository.add(1, state(1, (1.0, -1.0, 10.0)))
    assert repository.mean.tolist() == [0, 6]
    repository.act_with({1: 1})
    assert repository.mean.tolist() == [0, -1]
    assert repository.deviation.tolist() == [1, 3]
