"""Agents are numbered through the roles, and each has its role's network."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brigade.policy.network import Network
from brigade.policy.population import Population

NETWORKS = tuple(Network(num_features=n, action_nvec=(n,), hidden_size=2) for n in (2, 5, 3, 4))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_agents_are_numbered_role_after_role(sizes):
    population = Population(NETWORKS[: len(sizes)], tuple(sizes))
    roles = [role for role, size in enumerate(sizes) for _ in range(size)]  # of agents 0, 1, ...
    assert population.size == len(roles)
    assert [population.role_of(agent) for agent in range(len(roles))] == roles
    assert [agent for _, agents in population for agent in agents] == list(range(len(roles)))
    for role, (network, agents) in enumerate(population):
        assert agents == population.agents(role)
        assert agents[0] == population.firsts[role]
        assert len(agents) == sizes[role]
        assert network is NETWORKS[role]
    expected = [NETWORKS[role] for role in roles]
    assert [population.network_of(agent) for agent in range(len(roles))] == expected
    assert population.networks_of(range(len(roles))) == expected
    lengths = [network.num_parameters for network in expected]
    assert population.num_parameters == sum(lengths)
    assert population.longest_row == max(lengths)


def test_a_size_that_a_file_says_takes_no_memory():
    population = Population(NETWORKS[:2], (10**15, 10**15))
    assert [population.role_of(agent) for agent in (0, 10**15, 2 * 10**15 - 1)] == [0, 1, 1]


def test_one_of_a_single_role_has_one_network():
    population = Population.of(NETWORKS[0], 3)
    assert population == Population((NETWORKS[0],), (3,))
    assert population.network is NETWORKS[0]
    with pytest.raises(ValueError, match="2 roles"):
        _ = Population(NETWORKS[:2], (1, 1)).network


@pytest.mark.parametrize("agent", [-1, 3, 10**9])
def test_there_is_no_agent_beyond_the_last(agent):
    population = Population(NETWORKS[:2], (2, 1))
    for ask in (population.role_of, population.network_of):
        with pytest.raises(IndexError):
            ask(agent)


@pytest.mark.parametrize(
    ("networks", "sizes"),
    [
        ((), ()),
        (NETWORKS[:1], ()),
        (NETWORKS[:1], (1, 1)),
        (NETWORKS[:2], (3,)),
        (NETWORKS[:2], (3, 0)),
        (NETWORKS[:1], (-1,)),
    ],
)
def test_roles_without_agents_or_networks_are_refused(networks, sizes):
    with pytest.raises(ValueError, match="networks for"):
        Population(networks, sizes)
