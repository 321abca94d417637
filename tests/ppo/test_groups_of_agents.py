"""Groups of agents that threads share out: what is learned does not depend on the dealing."""

import threading
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_ppo import random_rollout

from brigade.config import PPOConfig
from brigade.policy.network import Network
from brigade.ppo.agents import AgentStack, AgentState, initial_state
from brigade.ppo.divergence import LARGEST_WEIGHT, divergence
from brigade.ppo.parallel import GroupedUpdater, Learned, group_size
from brigade.ppo.rollout import Rollout
from brigade.ppo.update import Updater

NARROW = Network(num_features=9, action_nvec=(4, 2, 2), hidden_size=16)
WIDE = Network(num_features=9, action_nvec=(4, 2, 2), hidden_size=256)
# Its parts begin in the middle of cache lines: nothing about it is a multiple of anything.
ODD = Network(
    39, (7, 2, 2), 33, tuple((5 * i, 5 * i + 1, 5 * i + 2) for i in range(7)), (35, 36, 38),
    tuple((5 * i + 3, 5 * i + 4) for i in range(7)), (8,),
)  # fmt: skip
# Rows of 9 outputs, of deviations that depend on what is seen, and of such that do not.
SQUASHED = Network(9, (), 33, num_continuous=4, squashed=True, state_dependent=True)
CLIPPED = Network(9, (), 16, num_continuous=3)
CONFIG = PPOConfig(hidden_size=16, batch_size=32, num_epochs=4, update_interval=10)
AGENTS = [3, 0, 7, 12, 5, 1]
SIZES = (80, 160, 40, 5, 0, 90)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def torch_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def grouped(agents=AGENTS, threads=1, network=NARROW, config=CONFIG) -> GroupedUpdater:
    states = [initial_state(network, 5, agent) for agent in agents]
    return GroupedUpdater([network] * len(agents), agents, states, CPU, config, 77, threads)


def rollouts_of(agents, update: int, network=NARROW) -> list[Rollout]:
    """What these agents lived through, whoever learns it."""
    sizes = dict(zip(AGENTS, SIZES, strict=True))
    return [random_rollout(network, sizes[agent], 100 * update + agent) for agent in agents]


def lag_of(agent: int, update: int) -> bool:
    return (agent + update) % 2 == 1


def learn(updater: GroupedUpdater, updates: int = 3, network=NARROW) -> dict[int, Learned]:
    for update in range(updates):
        recompute = [lag_of(agent, update) for agent in updater.agents]
        rollouts = rollouts_of(updater.agents, update, network)
        learned = updater.update(rollouts, 0.1 * update, recompute=recompute)
    return dict(zip(updater.agents, learned, strict=True))


def assert_same(one: AgentState, other: AgentState) -> None:
    assert (one.version, one.steps, one.rollbacks) == (other.version, other.steps, other.rollbacks)
    for name, array in one.arrays().items():
        assert np.array_equal(array, other.arrays()[name]), name


def test_groups_learn_what_one_stack_does():
    states = [initial_state(NARROW, 5, agent) for agent in AGENTS]
    alone = Updater(AgentStack(NARROW, AGENTS, states, CPU), CONFIG, 77)
    shared = grouped(threads=2)
    for update in range(3):
        rollouts = rollouts_of(AGENTS, update)
        again = [lag_of(agent, update) for agent in AGENTS]
        one = alone.update(rollouts, 0.1 * update, recompute=again)
        other = shared.update(rollouts, 0.1 * update, recompute=again)
        for mine, state, yours in zip(one, alone.stack.states(), other, strict=True):
            assert mine == pytest.approx(yours.metrics, rel=1e-3, abs=1e-5)
            assert (state.version, state.steps) == (yours.state.version, yours.state.steps)
            for name, array in state.arrays().items():
                np.testing.assert_allclose(array, yours.state.arrays()[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "batch"),
    [(NARROW, 32), (WIDE, 32), (ODD, 33), (SQUASHED, 33), (CLIPPED, 31)],
    ids=["narrow", "wide", "odd", "squashed", "clipped"],
)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    "dealt",
    [[AGENTS], [AGENTS[::-1]], [[3, 0], [7, 12, 5], [1]], [[5, 1, 7], [12, 3, 0]]],
    ids=str,
)
def test_neither_threads_nor_the_dealing_change_a_bit(dealt, threads, network, batch):
    config = msgspec.structs.replace(CONFIG, hidden_size=network.hidden_size, batch_size=batch)
    expected = learn(grouped(network=network, config=config), 2, network)
    found: dict[int, Learned] = {}
    for agents in dealt:
        found |= learn(grouped(agents, threads, network, config), 2, network)
    for agent in AGENTS:
        assert_same(found[agent].state, expected[agent].state)
        assert found[agent].metrics == expected[agent].metrics


@pytest.mark.parametrize("size", [16, 64, 100, 256])
def test_an_untrained_agent_is_the_same_with_any_number_of_threads(size):
    network = Network(60, (10, 2, 2), size)
    found = []
    for threads in (1, 2, 3, 4):
        torch.set_num_threads(threads)
        found.append(initial_state(network, 1, 3))
        assert torch.get_num_threads() == threads
    for each in found[1:]:
        assert_same(each, found[0])


def test_a_group_depends_on_nothing_but_the_network():
    assert group_size(NARROW) > 1
    assert group_size(WIDE) == 1


def test_only_the_calling_thread_is_told_that_time_passes():
    callers = []
    shared = grouped(threads=3)
    rollouts = [random_rollout(NARROW, 4000, agent) for agent in AGENTS]
    shared.update(rollouts, meanwhile=lambda: callers.append(threading.get_ident()), beat=0.001)
    assert set(callers) == {threading.get_ident()}
    assert shared.versions == [1] * len(AGENTS)


def test_an_update_that_is_given_up_ends_in_all_threads():
    shared = grouped(threads=3)
    before = shared.states

    def give_up():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared.update(
            [random_rollout(NARROW, 4000, agent) for agent in AGENTS], meanwhile=give_up, beat=0
        )
    shared.close()
    for thread in threading.enumerate():
        if thread.name.startswith("update"):
            thread.join(timeout=60)
            assert not thread.is_alive()
    assert shared.states == before


def test_an_update_that_is_given_up_begins_no_group_any_more(monkeypatch):
    agents = list(range(12))
    shared = grouped(agents, threads=1)
    begun = []
    prepare = Updater._prepare
    monkeypatch.setattr(
        Updater, "_prepare", lambda self, *more: (begun.append(1), prepare(self, *more))[1]
    )

    def give_up():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared.update(
            [random_rollout(NARROW, 4000, agent) for agent in agents], meanwhile=give_up, beat=0
        )
    assert len(begun) <= 1, "of three groups"


def test_what_goes_wrong_in_a_thread_is_raised_in_the_caller():
    rollouts = rollouts_of(AGENTS, 0)
    broken = [*rollouts[:5], random_rollout(Network(8, (4, 2, 2), 16), 80, 0)]
    with pytest.raises(ValueError, match="broadcast"):
        grouped(threads=3).update(broken)


def spoilt(rollout: Rollout, name: str, value: float) -> Rollout:
    column = np.array(getattr(rollout, name))
    column[len(column) // 2] = value
    return replace(rollout, **{name: column})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rewards", 1e30),
        ("rewards", -3e38),
        ("observations", 1e25),
        ("values", 3e38),
        ("log_probs", -300.0),
    ],
)
@pytest.mark.filterwarnings("error")
def test_an_agent_that_diverges_goes_back_and_the_others_go_on(name, value):
    whole, updater = grouped(), grouped(threads=2)
    before = {agent: initial_state(NARROW, 5, agent) for agent in AGENTS}
    for update in range(2):
        rollouts = rollouts_of(AGENTS, update)
        expected = dict(zip(AGENTS, whole.update(rollouts), strict=True))
        rollouts[1] = spoilt(rollouts[1], name, value)
        learned = updater.update(rollouts)
    for agent, each in zip(AGENTS, learned, strict=True):
        if agent != AGENTS[1]:
            assert_same(each.state, expected[agent].state)
            assert not each.diverged
    assert learned[1].diverged, "the case is none"
    assert_same(learned[1].state, replace(before[AGENTS[1]], version=2, rollbacks=2))
    # It learns on from there, and so does whoever knows it by its state alone.
    states = [each.state for each in learned]
    other = GroupedUpdater([NARROW] * len(AGENTS), AGENTS, states, CPU, CONFIG, 77, threads=1)
    on = updater.update(rollouts_of(AGENTS, 2))
    for mine, others in zip(on, other.update(rollouts_of(AGENTS, 2)), strict=True):
        assert_same(mine.state, others.state)
    again = on[1]
    assert not again.diverged
    assert (again.state.version, again.state.rollbacks) == (3, 2)
    assert again.state.steps > 0


@given(rate=st.floats(0.1, 1e30), updates=st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_whatever_the_learning_rate_what_is_learned_can_be_acted_with(rate, updates):
    updater = grouped(config=msgspec.structs.replace(CONFIG, learning_rate=rate))
    for update in range(updates):
        for each in updater.update(rollouts_of(AGENTS, update)):
            assert divergence(each.state, {}) == ""
            assert all(np.isfinite(array).all() for array in each.state.arrays().values())


@pytest.mark.parametrize("width", [16, 2048])
def test_outputs_of_the_largest_parameters_do_not_overflow(width):
    network = Network(200, (64, 2, 2), width, tuple((c, c + 64) for c in range(64)), (198, 199))
    rows = torch.full((1, network.num_parameters), LARGEST_WEIGHT)
    from brigade.policy.actor import Actor

    actor = Actor(network, rows)
    actor.seat(np.zeros(2, np.int64))
    outputs = actor.outputs(np.ones((2, 200), np.float32))
    assert torch.isfinite(outputs).all()
    assert float(outputs.abs().max()) * 1e12 < 3e38
    _, log_probs, values = actor.act(np.ones((2, 200), np.float32), np.random.default_rng(0))
    assert np.isfinite(log_probs).all()
    assert np.isfinite(values).all()


def test_what_diverged_is_named():
    state = initial_state(NARROW, 1, 0)

    def with_(name: str, value: float) -> AgentState:
        array = getattr(state, name).copy()
        array[0] = value
        return replace(state, **{name: array})

    assert divergence(state, {"kl": 0.1}) == ""
    assert "first moment" in divergence(with_("first_moment", np.nan), {})
    assert "statistics" in divergence(with_("statistics", np.inf), {})
    assert "parameter of 1e+06" in divergence(with_("parameters", -1e6), {})
    assert "kl" in divergence(state, {"entropy": 1.0, "kl": float("inf")})


@pytest.mark.parametrize("threads", [1, 3])
def test_agents_of_two_roles_learn_together_what_they_learn_apart(threads):
    # Of another shape, and with as many parameters in a row as it happens.
    roles = {NARROW: [3, 0, 7], Network(num_features=6, action_nvec=(5,), hidden_size=16): [12, 5]}
    network_of = {agent: network for network, agents in roles.items() for agent in agents}
    expected: dict[int, Learned] = {}
    for network, agents in roles.items():
        expected |= learn(grouped(agents, 1, network), 2, network)
    mixed = [12, 3, 0, 5, 7]
    states = [initial_state(network_of[agent], 5, agent) for agent in mixed]
    networks = [network_of[agent] for agent in mixed]
    updater = GroupedUpdater(networks, mixed, states, CPU, CONFIG, 77, threads)
    for update in range(2):
        rollouts = [rollouts_of([agent], update, network_of[agent])[0] for agent in mixed]
        recompute = [lag_of(agent, update) for agent in mixed]
        learned = updater.update(rollouts, 0.1 * update, recompute=recompute)
    for agent, found in zip(mixed, learned, strict=True):
        assert_same(found.state, expected[agent].state)
        assert found.metrics == expected[agent].metrics
