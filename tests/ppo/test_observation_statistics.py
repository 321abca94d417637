"""Running statistics of observations: against NumPy, and as a part of what an update changes."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_ppo import random_rollout

from brigade.config import PPOConfig
from brigade.policy.actor import Actor
from brigade.policy.network import Network
from brigade.ppo.agents import AgentStack, AgentState, initial_state
from brigade.ppo.divergence import divergence, refuse_too_large, too_large
from brigade.ppo.observation_statistics import LARGEST_COUNT, take_in
from brigade.ppo.parallel import GroupedUpdater
from brigade.ppo.rollout import Rollout
from brigade.ppo.update import Updater
from brigade.ppo.upload import Uploader

PLAIN = Network(num_features=9, action_nvec=(4, 2, 2), hidden_size=16)
COLUMNS = (0, 1, 4, 8)
NETWORK = replace(PLAIN, normalised=COLUMNS)
CONFIG = PPOConfig(hidden_size=16, batch_size=32, num_epochs=4, update_interval=10)
SIZES = (80, 160, 5, 0)
AGENTS = [3, 0, 7, 12]
CPU = torch.device("cpu")


def nothing_seen(columns: int) -> dict[str, torch.Tensor]:
    network = Network(columns, (2,), 1, normalised=tuple(range(columns)))
    return network.state_dict(network.initial_row(torch.Generator().manual_seed(0)))


def moments(statistics: dict[str, torch.Tensor]) -> tuple[float, np.ndarray, np.ndarray]:
    """Count, mean and deviation."""
    count, mean, rest, deviation = (
        statistics[f"observations.{name}"].double().numpy()
        for name in ("count", "mean", "mean_rest", "deviation")
    )
    return float(count[0]), mean + rest, deviation


def rollouts_of(update: int, sizes=SIZES) -> list[Rollout]:
    """Observations of unlike size, far from 0."""
    units, offsets = 10.0 ** np.arange(-4, 5), 100.0 * np.arange(9)
    found = []
    for k, size in enumerate(sizes):
        rollout = random_rollout(PLAIN, size, 10 * update + k, shift=k)
        columns = ("observations", "bootstrap_observations", "default_observations")
        given = {
            name: (getattr(rollout, name) * units + offsets).astype(np.float32) for name in columns
        }
        # What nothing is to be kept of has the usual size.
        for name, array in given.items():
            others = [c for c in range(9) if c not in COLUMNS]
            array[:, others] = getattr(rollout, name)[:, others]
        found.append(replace(rollout, **given))
    return found


def states(network=NETWORK) -> list[AgentState]:
    return [initial_state(network, 5, agent) for agent in AGENTS]


def updater(network=NETWORK, config=CONFIG, device=CPU) -> Updater:
    return Updater(AgentStack(network, AGENTS, states(network), device), config, 77)


def grouped(given_states: list[AgentState], agents=AGENTS, threads: int = 1) -> GroupedUpdater:
    return GroupedUpdater([NETWORK] * len(agents), agents, given_states, CPU, CONFIG, 77, threads)


def kept(state: AgentState) -> dict[str, torch.Tensor]:
    return NETWORK.state_dict(torch.tensor(state.parameters))


def assert_same(one: AgentState, other: AgentState) -> None:
    for name, array in one.arrays().items():
        assert np.array_equal(array, other.arrays()[name]), name


# ---- the statistics ----------------------------------------------------------------------


@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=12),
    offset=st.sampled_from([0.0, 1.0, -1e4, 1e4, 1e9]),
    unit=st.sampled_from([0.0, 1e-2, 1.0, 1e3]),
    seed=st.integers(0, 2**31),
)
@settings(deadline=None)
def test_they_are_the_mean_and_deviation_of_all_that_was_seen(lengths, offset, unit, seed):
    draws = np.random.default_rng(seed).standard_normal((sum(lengths), 3))
    seen = (offset + unit * draws).astype(np.float32)
    statistics = nothing_seen(3)
    for part in np.split(seen, np.cumsum(lengths)[:-1]):
        take_in(statistics, torch.from_numpy(part))
    count, mean, deviation = moments(statistics)
    assert count == len(seen)
    if count:
        wide = seen.astype(np.float64)
        np.testing.assert_allclose(mean, wide.mean(0), rtol=1e-12, atol=1e-6 * wide.std(0).max())
        np.testing.assert_allclose(deviation, wide.std(0), rtol=1e-5)
    else:
        assert (mean.tolist(), deviation.tolist()) == ([0] * 3, [1] * 3)


@given(
    value=(st.floats(1e-30, 1e30) | st.floats(-1e30, -1e-30) | st.just(0.0)).map(np.float32),
    lengths=st.lists(st.integers(1, 999), max_size=5),
)
@settings(deadline=None)
def test_a_constant_is_0_whatever_it_is(value, lengths):
    network = Network(1, (2,), 1, normalised=(0,))
    statistics = nothing_seen(1)
    for length in lengths:
        take_in(statistics, torch.full((length, 1), float(value)))
    _, mean, deviation = moments(statistics)
    if lengths:
        assert (mean, deviation) == (np.float64(value), 0)
        actor = Actor(network, network.row(statistics)[None])
        actor.seat(np.zeros(1, np.int64))
        found = actor.outputs(np.full((1, 1), value, np.float32))
        assert not found.any(), "without biases, 0 gives 0"


def test_steps_much_smaller_than_the_mean_can_show_are_not_lost():
    statistics = nothing_seen(1)
    statistics["observations.count"].fill_(LARGEST_COUNT)
    statistics["observations.mean"].fill_(10_000)
    steps, seen = 2000, torch.tensor([[10_000.5]])
    for _ in range(steps):
        take_in(statistics, seen)
    count, mean, _ = moments(statistics)
    assert count == LARGEST_COUNT
    assert mean[0] - 10_000 == pytest.approx(0.5 * steps / LARGEST_COUNT, rel=1e-3)


def test_what_was_seen_long_ago_is_forgotten():
    statistics = nothing_seen(1)
    statistics["observations.count"].fill_(LARGEST_COUNT)
    statistics["observations.mean"].fill_(-1e6)
    new = np.random.default_rng(0).normal(3, 2, (LARGEST_COUNT // 16, 1)).astype(np.float32)
    gap = [moments(statistics)[1][0] - 3]
    for _ in range(4):
        take_in(statistics, torch.from_numpy(new))
        gap.append(moments(statistics)[1][0] - 3)
    np.testing.assert_allclose(np.divide(gap[1:], gap[:-1]), 16 / 17, rtol=1e-3)


def test_the_largest_float32_numbers_do_not_overflow():
    statistics = nothing_seen(1)
    take_in(statistics, torch.tensor([[3e38], [-3e38]]))
    _, mean, deviation = moments(statistics)
    assert mean[0] == 0
    assert deviation[0] == pytest.approx(3e38)


# ---- in an update ------------------------------------------------------------------------


def test_an_update_takes_in_what_each_agent_saw_and_moves_statistics_no_further():
    there = updater()
    seen: list[list[np.ndarray]] = [[] for _ in AGENTS]
    for update in range(3):
        rollouts = rollouts_of(update)
        there.update(rollouts)
        for k, rollout in enumerate(rollouts):
            seen[k].append(rollout.observations[:, COLUMNS].astype(np.float64))
    for k, state in enumerate(there.stack.states()):
        count, mean, deviation = moments(kept(state))
        wide = np.concatenate(seen[k])
        assert count == len(wide) == 3 * SIZES[k]
        if count:
            np.testing.assert_allclose(mean, wide.mean(0), rtol=1e-10)
            np.testing.assert_allclose(deviation, wide.std(0), rtol=1e-5)
        for name in ("first_moment", "second_moment"):
            assert not getattr(state, name)[NETWORK.num_weights :].any()
    assert_same(there.stack.states()[-1], replace(states()[-1], version=3))


@pytest.mark.parametrize("advantages", ["difference_rewards", "gae"])
def test_it_learns_what_a_plain_network_does_from_normalised_observations(advantages):
    config = msgspec.structs.replace(CONFIG, advantages=advantages)
    raw, plain = updater(config=config), updater(PLAIN, config)
    assert [s.parameters[: NETWORK.num_weights].tolist() for s in states()] == [
        s.parameters.tolist() for s in states(PLAIN)
    ]

    def normalised(rollout: Rollout, state: AgentState) -> Rollout:
        statistics = {name: tensor.numpy() for name, tensor in kept(state).items()}
        given = {}
        for name in ("observations", "bootstrap_observations", "default_observations"):
            given[name] = getattr(rollout, name).copy()
            far = given[name][:, COLUMNS] - statistics["observations.mean"]
            far /= np.maximum(statistics["observations.deviation"], 1e-6)
            given[name][:, COLUMNS] = far.clip(-10, 10)
        return replace(rollout, **given)

    for update in range(3):
        rollouts = rollouts_of(update)
        said = raw.update(rollouts)
        pairs = zip(rollouts, raw.stack.states(), strict=True)
        expected = plain.update([normalised(*pair) for pair in pairs], recompute=True)
        for one, other in zip(said, expected, strict=True):
            assert one == pytest.approx(other, rel=1e-3, abs=1e-5)
        for one, other in zip(raw.stack.states(), plain.stack.states(), strict=True):
            found = one.parameters[: NETWORK.num_weights]
            atol = 0.01 * config.learning_rate
            np.testing.assert_allclose(found, other.parameters, rtol=0, atol=atol)


def test_neither_stack_nor_threads_nor_where_observations_lie_change_a_bit():
    ends = []
    for agents, threads, begun in (
        (AGENTS, 1, False),
        (AGENTS[::-1], 2, False),
        (AGENTS[:2], 1, True),
        (AGENTS[2:], 2, False),
    ):
        given_states = [initial_state(NETWORK, 5, agent) for agent in agents]
        there = grouped(given_states, agents, threads)
        for update in range(2):
            own = dict(zip(AGENTS, rollouts_of(update), strict=True))
            rollouts = [own[agent] for agent in agents]
            if begun:
                rollouts = [rollout.sent(Uploader(CPU)) for rollout in rollouts]
            learned = there.update(rollouts, recompute=[agent == 3 for agent in agents])
        ends.append(dict(zip(agents, (each.state for each in learned), strict=True)))
    for agent in AGENTS:
        for end in ends:
            if agent in end:
                assert_same(end[agent], ends[0][agent])


def test_an_agent_that_diverged_has_the_statistics_from_before_and_learns_on():
    there = grouped(states())
    there.update(rollouts_of(0))
    before = there.states
    broken = rollouts_of(1)
    rewards = broken[1].rewards.copy()
    rewards[7] = 1e30
    learned = there.update([broken[0], replace(broken[1], rewards=rewards), *broken[2:]])
    assert learned[1].diverged
    assert_same(learned[1].state, before[1])
    on = there.update(rollouts_of(2))
    fresh = grouped([each.state for each in learned]).update(rollouts_of(2))
    for one, other in zip(on, fresh, strict=True):
        assert not one.diverged
        assert_same(one.state, other.state)


def test_statistics_may_be_larger_than_weights():
    state = states()[0]
    row = state.parameters.copy()
    row[NETWORK.num_weights :] = 1e9
    large = replace(state, parameters=row)
    assert divergence(large, {}, NETWORK.num_weights) == ""
    refuse_too_large([large, states()[1]], [NETWORK.num_weights] * 2)
    with pytest.raises(ValueError, match="agent 1"):
        refuse_too_large([states()[1], large])
    assert "parameter of 1e+09" in too_large(large)
    row[-1] = np.inf
    assert "not finite" in divergence(large, {}, NETWORK.num_weights)


# ---- learning ----------------------------------------------------------------------------

UNITS, OFFSETS = np.array([1000.0, 0.001]), np.array([5000.0, -0.05])


def share_right(network: Network, units: np.ndarray, offsets: np.ndarray) -> float:
    """How often an agent is right, after a while, about which of two hidden numbers is larger."""
    config = PPOConfig(
        hidden_size=16, batch_size=64, num_epochs=4, update_interval=16, advantages="gae"
    )
    state, rng = initial_state(network, 1, 0), np.random.default_rng(3)
    there = Updater(AgentStack(network, [0], [state], CPU), config, 1)
    actor, n = Actor(network, there.stack.parameters), 256
    actor.seat(np.zeros(n, np.int64))
    for _ in range(15):
        hidden = rng.standard_normal((n, 2))
        seen = (hidden * units + offsets).astype(np.float32)
        actions, log_probs, values = actor.act(seen, rng)
        ones = np.ones(n, bool)
        there.update(
            [
                Rollout.of(
                    {
                        "observations": seen,
                        "actions": actions,
                        "component_mask": ones[:, None],
                        "log_probs": log_probs[:, 0],
                        "values": values,
                        "rewards": (actions[:, 0] == hidden.argmax(1)).astype(np.float32),
                        "discounts": np.ones(n, np.float32),
                        "lengths": np.ones(n, np.int32),
                        "terminated": ones,
                        "truncated": ~ones,
                        "policy_versions": np.zeros(n, np.int64),
                        "bootstrap_observations": seen[:0],
                    }
                )
            ]
        )
    hidden = rng.standard_normal((n, 2))
    chosen = actor.act_greedily((hidden * units + offsets).astype(np.float32))[:, 0]
    return float((chosen == hidden.argmax(1)).mean())


def test_what_is_measured_in_unlike_units_is_learned_as_well_as_what_is_not():
    plain = Network(2, (2,), 16)
    network = replace(plain, normalised=(0, 1))
    usual = share_right(plain, np.ones(2), np.zeros(2))
    assert usual > 0.9
    assert share_right(network, UNITS, OFFSETS) > usual - 0.03
    assert share_right(plain, UNITS, OFFSETS) < 0.85, "the case is none"
