"""The stacked update against plain one-agent PPO: autograd, torch.optim.Adam, clip_grad_norm_."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plain_ppo import PlainAgent, random_rollout
from torch.distributions import Categorical

from brigade import seeds
from brigade.config import PPOConfig
from brigade.policy.actor import Actor
from brigade.policy.network import Network
from brigade.ppo import cuda_graph
from brigade.ppo.agents import AgentStack, AgentState, initial_state
from brigade.ppo.loss import STATISTICS
from brigade.ppo.rollout import Rollout
from brigade.ppo.update import Updater, minibatch_order, num_batches
from brigade.ppo.upload import Uploader

NETWORK = Network(num_features=9, action_nvec=(4, 2, 2), hidden_size=16, signals=(2,))
POINTING = Network(12, (3, 2, 2), 16, ((0,), (1,), (2,)), (6, 7, 8), ((3,), (4,), (5,)))
CONFIG = PPOConfig(
    hidden_size=16, batch_size=32, num_epochs=4, update_interval=10, learning_rate=1e-3
)
USUAL = CONFIG.rollout_transitions  # 80
SEED = 77
CPU = torch.device("cpu")


def states(agents) -> list[AgentState]:
    return [initial_state(NETWORK, 5, agent) for agent in agents]


def updater(agents, config=CONFIG, given_states=None) -> Updater:
    return Updater(AgentStack(NETWORK, agents, given_states or states(agents), CPU), config, SEED)


def empty_rollout() -> Rollout:
    return random_rollout(NETWORK, 3, 0).empty()


def assert_same(one: AgentState, other: AgentState) -> None:
    assert (one.version, one.steps) == (other.version, other.steps)
    for name, array in one.arrays().items():
        assert np.array_equal(array, other.arrays()[name]), name


def assert_follows(state: AgentState, plain: PlainAgent) -> None:
    """Float32 follows float64: compared with how far the agent can have moved."""
    far = CONFIG.learning_rate
    np.testing.assert_allclose(state.parameters, plain.row(), rtol=0, atol=0.01 * far)
    first, second = plain.row("exp_avg"), plain.row("exp_avg_sq")
    np.testing.assert_allclose(state.first_moment, first, rtol=1e-3, atol=1e-4 * abs(first).max())
    np.testing.assert_allclose(state.second_moment, second, rtol=1e-3, atol=1e-4 * second.max())
    expected = [plain.weight, plain.sum, plain.sum_squares]
    np.testing.assert_allclose(state.statistics, expected, rtol=1e-4, atol=1e-5)


# Usual, twice as many, too few for the usual number of batches, fewer than one batch, none.
SIZES = (USUAL, 2 * USUAL, 40, 5, 0)


@pytest.mark.parametrize("advantages", ["difference_rewards", "gae"])
@pytest.mark.parametrize("recompute", [False, True, [True, False, False, True, True]])
def test_each_agent_of_a_stack_learns_as_plain_ppo_would(recompute, advantages):
    agents = [3, 0, 7, 12, 5]
    config = msgspec.structs.replace(CONFIG, advantages=advantages)
    stacked = updater(agents, config)
    plain = [
        PlainAgent(NETWORK, state, config, agent, SEED)
        for agent, state in zip(agents, states(agents), strict=True)
    ]
    for update in range(3):
        rollouts = [
            # Rewards of unlike size, so that some agents' gradients are clipped and some not.
            random_rollout(NETWORK, size, 10 * update + k, scale=[0.1, 300, 1, 1, 1][k], shift=k)
            for k, size in enumerate(SIZES)
        ]
        metrics = stacked.update(rollouts, recompute=recompute)
        for k, agent in enumerate(plain):
            again = recompute if isinstance(recompute, bool) else recompute[k]
            expected = agent.update(rollouts[k], recompute=again)
            for name, value in expected.items():
                assert metrics[k][name] == pytest.approx(value, rel=2e-3, abs=2e-4), (k, name)
        for state, agent in zip(stacked.stack.states(), plain, strict=True):
            assert_follows(state, agent)
        assert stacked.stack.versions == [update + 1] * 5
    norms = np.concatenate([agent.norms for agent in plain])
    assert (norms > CONFIG.max_grad_norm).any(), "the case covers clipped gradients"
    assert (norms < CONFIG.max_grad_norm).any(), "and whole ones"


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
def test_what_was_copied_to_the_device_beforehand_teaches_the_same(device):
    agents = [3, 0, 7, 12]
    place = torch.device(device)
    elsewhere = Updater(AgentStack(NETWORK, agents, states(agents), place), CONFIG, SEED)
    uploader, here = Uploader(place), updater(agents)
    for update in range(3):
        rollouts = [
            random_rollout(NETWORK, size, 10 * update + k)
            for k, size in enumerate((USUAL, 2 * USUAL, 5, 0))
        ]
        begun = [rollout.sent(uploader) for rollout in rollouts]
        expected = here.update(rollouts, recompute=update > 0)
        for one, other in zip(elsewhere.update(begun, recompute=update > 0), expected, strict=True):
            assert one == pytest.approx(other, rel=2e-3, abs=2e-4)
    for one, other in zip(elsewhere.stack.states(), here.stack.states(), strict=True):
        if device == "cpu":
            assert_same(one, other)
        far = CONFIG.learning_rate
        np.testing.assert_allclose(one.parameters, other.parameters, rtol=0, atol=0.01 * far)


@needs_gpu
@pytest.mark.parametrize("network", [NETWORK, POINTING], ids=["plain", "pointing"])
def test_a_recorded_gradient_batch_does_what_it_did_when_it_was_recorded(network, monkeypatch):
    config = msgspec.structs.replace(CONFIG, anneal=True, entropy_coef=0.1)
    given_states = [initial_state(network, 5, agent) for agent in range(4)]
    ends = []
    for times_before in (10**9, 2):
        monkeypatch.setattr(cuda_graph, "TIMES_BEFORE", times_before)
        stack = AgentStack(network, range(4), given_states, torch.device("cuda"))
        there = Updater(stack, config, SEED)
        for update in range(4):
            # In the third, one agent has fewer batches than the others.
            sizes = [USUAL, USUAL, 2 * USUAL, 5 if update == 2 else USUAL]
            rollouts = [random_rollout(network, n, 10 * update + k) for k, n in enumerate(sizes)]
            there.update(rollouts, progress=update / 4, recompute=update % 2 == 1)
        assert (there._graph._graph is None) == (times_before > 2)
        ends.append(there.stack.states())
    for one, other in zip(*ends, strict=True):
        assert_same(one, other)


def test_an_upload_is_a_copy_of_what_was_there_when_it_began():
    array = np.ones((3, 2), np.float32)
    array.flags.writeable = False  # as what came over a socket is
    upload = Uploader(CPU).begin(array)
    array.flags.writeable = True
    array[:] = 2
    assert len(upload) == 3
    assert torch.equal(upload.wait(), torch.ones(3, 2))


def test_recomputing_is_clipping_around_the_agent_as_it_is():
    # Whatever policy acted, the first batch of an update then finds a ratio of 1.
    once = PPOConfig(hidden_size=16, batch_size=32, num_epochs=1, update_interval=1)
    rollouts = [random_rollout(NETWORK, size, size) for size in (USUAL, 5)]
    for said in updater([0, 1], once).update(rollouts, recompute=True):
        assert said["clip_fraction"] == 0
        assert abs(said["kl"]) < 1e-6
    for said in updater([0, 1], once).update(rollouts):
        assert said["clip_fraction"] > 0


def test_recomputing_finds_what_the_agent_itself_reported():
    agents = [PlainAgent(NETWORK, state, CONFIG, k, SEED) for k, state in enumerate(states([0, 1]))]
    rollouts = [random_rollout(NETWORK, size, size) for size in (USUAL, 50)]
    own = [agent.recomputed(rollout) for agent, rollout in zip(agents, rollouts, strict=True)]
    narrow = [
        replace(r, log_probs=r.log_probs.astype(np.float32), values=r.values.astype(np.float32))
        for r in own
    ]
    once, again = updater([0, 1]), updater([0, 1])
    once.update(narrow)
    again.update(narrow, recompute=True)
    for one, other in zip(once.stack.states(), again.stack.states(), strict=True):
        np.testing.assert_allclose(one.parameters, other.parameters, rtol=0, atol=1e-5)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_an_agent_learns_alone_what_it_learns_in_a_stack(size, recompute):
    rollouts = [random_rollout(NETWORK, n, n) for n in (USUAL, size, 60)]
    together, alone = updater([0, 1, 2]), updater([1])
    for _ in range(2):
        together.update(rollouts, recompute=recompute)
        alone.update(rollouts[1:2], recompute=recompute)
    one, other = together.stack.states()[1], alone.stack.states()[0]
    assert (one.version, one.steps) == (other.version, other.steps)
    for name, array in one.arrays().items():
        np.testing.assert_allclose(array, other.arrays()[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(
    "others", ["another rollout", "no rollout", "not numbers", "others", "another lag"]
)
def test_an_agent_learns_from_its_own_data_only(others, recompute):
    agents, given_states = [0, 1, 2], states([0, 1, 2])
    rollouts = [random_rollout(NETWORK, USUAL, seed) for seed in range(3)]
    first = updater(agents, given_states=given_states)
    first.update(rollouts, recompute=recompute)
    if others == "another rollout":
        rollouts[0], rollouts[2] = (random_rollout(NETWORK, USUAL, seed) for seed in (8, 9))
    elif others == "no rollout":
        rollouts[0] = rollouts[2] = empty_rollout()
    elif others == "not numbers":
        rollouts[2] = replace(rollouts[2], rewards=rollouts[2].rewards * np.float32("nan"))
    elif others == "others":
        agents, given_states = [5, 1, 6], [*states([5]), given_states[1], *states([6])]
    second = updater(agents, given_states=given_states)
    lag = not recompute if others == "another lag" else recompute
    second.update(rollouts, recompute=[lag, recompute, lag])
    assert_same(first.stack.states()[1], second.stack.states()[1])


def test_an_agent_without_transitions_stays_as_it_is_but_for_its_version():
    stacked = updater([0, 1])
    for seed in range(2):
        stacked.update([random_rollout(NETWORK, USUAL, seed + k, scale=71) for k in range(2)])
    before = stacked.stack.states()[1]
    metrics = stacked.update([random_rollout(NETWORK, USUAL, 5), empty_rollout()])
    after = stacked.stack.states()[1]
    assert_same(after, replace(before, version=3))
    assert (metrics[1]["transitions"], metrics[1]["batches"]) == (0, 0)
    assert all(np.isfinite(value) for value in metrics[1].values())


def test_nobody_with_transitions_is_an_update_too():
    stacked = updater([0, 1])
    stacked.update([empty_rollout(), empty_rollout()])
    for state, before in zip(stacked.stack.states(), states([0, 1]), strict=True):
        assert_same(state, replace(before, version=1))


def test_going_on_from_a_state_is_going_on():
    rollouts = [[random_rollout(NETWORK, 60 + k, 3 * u + k) for k in range(2)] for u in range(4)]
    whole = updater([4, 9])
    for each in rollouts:
        whole.update(each)
    first = updater([4, 9])
    for each in rollouts[:2]:
        first.update(each)
    second = updater([4, 9], given_states=first.stack.states())
    for each in rollouts[2:]:
        second.update(each)
    for one, other in zip(whole.stack.states(), second.stack.states(), strict=True):
        assert_same(one, other)


def test_a_state_taken_out_is_not_changed_by_later_updates():
    stacked = updater([0])
    taken = stacked.stack.states()[0]
    copies = {name: array.copy() for name, array in taken.arrays().items()}
    stacked.update([random_rollout(NETWORK, USUAL, 0)])
    for name, array in taken.arrays().items():
        assert np.array_equal(array, copies[name]), name


@pytest.mark.parametrize("advantages", ["difference_rewards", "gae"])
@pytest.mark.parametrize("anneal", [False, True])
def test_rate_optimism_and_bonus_change_where_they_are_told_to(anneal, advantages):
    rollout = random_rollout(NETWORK, USUAL, 1)
    config = msgspec.structs.replace(
        CONFIG,
        anneal=anneal,
        entropy_coef=0.5,
        learning_rate=1e-3,
        advantages=advantages,
        optimism=0.9,
    )
    left = 0.25 if anneal else 1.0
    stacked = updater([0], config)
    stacked.update([rollout], progress=0.75)
    by_hand = msgspec.structs.replace(config, entropy_coef=0.5 * left**5, optimism=0.9 * left)
    plain = PlainAgent(NETWORK, states([0])[0], by_hand, 0, SEED)
    plain.update(rollout, 1e-3 * left)
    np.testing.assert_allclose(stacked.stack.states()[0].parameters, plain.row(), rtol=0, atol=1e-5)


def test_the_effect_of_a_single_step_has_size_one():
    # GAE's deviation, the unit of these advantages, is nothing there.
    whole = random_rollout(NETWORK, 1, 1)
    alone = replace(
        whole,
        rewards=np.full(1, 0.75, np.float32),
        default_rewards=np.full(1, 0.5, np.float32),
        changed=np.zeros(1, np.bool_),
        default_observations=whole.default_observations[:0],
        component_mask=np.array([[True, True, False]]),
    )
    config = msgspec.structs.replace(CONFIG, learning_rate=0.0)
    found = updater([0], config).update([alone], recompute=True)
    assert found[0]["policy_loss"] == pytest.approx(-2 / 3, rel=1e-4), "of two components in three"


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_the_cost_of_acting_does_not_grow_as_an_agent_acts_less(progress):
    # Work costs one and changes nothing; the luck that all see is the same whatever it does.
    whole = random_rollout(NETWORK, USUAL, 1)
    losses = []
    for worked in (USUAL // 2, 4):
        mode = np.zeros(USUAL, np.int64)
        mode[:worked] = 1
        rollout = replace(
            whole,
            actions=np.stack([np.zeros(USUAL, np.int64), mode, mode], axis=1),
            default_rewards=(whole.rewards + mode).astype(np.float32),
            changed=np.zeros(USUAL, np.bool_),
            default_observations=whole.default_observations[:0],
            component_mask=np.broadcast_to([False, True, False], (USUAL, 3)),
        )
        config = msgspec.structs.replace(
            CONFIG,
            anneal=True,
            learning_rate=0.0,
            batch_size=USUAL,
            num_epochs=1,
            update_interval=1,
        )
        found = updater([0], config).update([rollout], progress=progress, recompute=True)
        losses.append(found[0]["policy_loss"] / worked)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3), "each time is as dear as ever"


def test_what_an_update_reports():
    stacked = updater([0, 1])
    rollouts = [random_rollout(NETWORK, size, size) for size in (USUAL, 40)]
    beats: list[int] = []
    metrics = stacked.update(rollouts, between_batches=lambda: beats.append(1))
    assert len(beats) == 10
    assert [m["transitions"] for m in metrics] == [USUAL, 40]
    assert [m["batches"] for m in metrics] == [10, 6]
    assert stacked.stack.steps == [10, 6]
    extra = {"grad_norm", "explained_variance", "transitions", "batches"}
    assert all(set(m) == {*STATISTICS, *extra} for m in metrics)


def test_explained_variance_is_one_for_perfect_values_and_zero_for_constant_ones():
    whole = random_rollout(NETWORK, USUAL, 0)
    ends = replace(
        whole,
        lengths=np.ones(USUAL, np.int32),  # one step a game: the return is the reward
        terminated=np.ones(USUAL, np.bool_),
        bootstrap_observations=whole.bootstrap_observations[:0],
    )
    perfect = replace(ends, values=ends.rewards)
    constant = replace(ends, values=np.full(USUAL, 3, np.float32))
    metrics = updater([0, 1]).update([perfect, constant])
    assert metrics[0]["explained_variance"] == pytest.approx(1)
    assert metrics[1]["explained_variance"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("advantages", ["difference_rewards", "gae"])
@pytest.mark.parametrize("transitions", [32, 7])
def test_without_lag_the_learner_finds_the_probabilities_that_acted(transitions, advantages):
    given_states = states([0, 1])
    parameters = torch.from_numpy(np.stack([state.parameters for state in given_states]))
    NETWORK.views(parameters)["heads.weight"].mul_(30)  # away from uniform
    given_states = [
        replace(state, parameters=row.numpy().copy())
        for state, row in zip(given_states, parameters, strict=True)
    ]
    actor = Actor(NETWORK, parameters)
    agents = np.arange(2 * transitions) % 2
    actor.seat(agents)
    rollouts = [random_rollout(NETWORK, transitions, k) for k in range(2)]
    observations = np.empty((2 * transitions, 9), np.float32)
    observations[0::2], observations[1::2] = (r.observations for r in rollouts)
    actions, log_probs, values = actor.act(observations, np.random.default_rng(0))
    rollouts = [
        replace(
            rollout,
            actions=actions[k::2].astype(np.uint8),
            log_probs=(log_probs[k::2] * rollout.component_mask).sum(1),
            values=values[k::2],
        )
        for k, rollout in enumerate(rollouts)
    ]
    once = PPOConfig(
        hidden_size=16,
        batch_size=transitions,
        num_epochs=1,
        update_interval=1,
        advantages=advantages,
    )
    for said in updater([0, 1], once, given_states).update(rollouts):
        assert said["clip_fraction"] == 0
        assert abs(said["kl"]) < 1e-6
        # The mean of normalised advantages, times 1, where there are no others.
        assert advantages == "difference_rewards" or abs(said["policy_loss"]) < 1e-5


def test_agents_learn_what_they_are_paid_for():
    # One-step games; agent k is paid for choosing k in the first component.
    config = PPOConfig(
        hidden_size=16, batch_size=64, num_epochs=4, update_interval=16, learning_rate=3e-3
    )
    stacked = updater([0, 1, 2], config)
    actor = Actor(NETWORK, stacked.stack.parameters.detach())
    rng = np.random.default_rng(0)
    count = config.rollout_transitions
    actor.seat(np.repeat(np.arange(3), count))
    for _ in range(12):
        observations = rng.random((3 * count, 9), dtype=np.float32)
        actions, log_probs, values = actor.act(observations, rng)
        rollouts = []
        for k in range(3):
            mine = slice(k * count, (k + 1) * count)
            rollouts.append(
                Rollout.of(
                    {
                        "observations": observations[mine],
                        "actions": actions[mine],
                        "component_mask": np.ones((count, 3), np.bool_),
                        "log_probs": log_probs[mine].sum(1),
                        "values": values[mine],
                        "rewards": (actions[mine, 0] == k).astype(np.float32),
                        "discounts": np.full(count, 0.99, np.float32),
                        "lengths": np.ones(count, np.int32),
                        "terminated": np.ones(count, np.bool_),
                        "truncated": np.zeros(count, np.bool_),
                        "policy_versions": np.zeros(count, np.int64),
                        "bootstrap_observations": observations[:0],
                        "default_rewards": np.zeros(count, np.float32),
                        "default_terminated": np.zeros(count, np.bool_),
                        "changed": np.zeros(count, np.bool_),
                        "default_observations": observations[:0],
                    }
                )
            )
        stacked.update(rollouts)
    logits = actor.outputs(observations)[:, :4].reshape(3, count, 4)
    probabilities = Categorical(logits=logits).probs.mean(1)
    assert (probabilities.diagonal() > 0.8).all()


@given(
    transitions=st.integers(1, 200),
    batches=st.integers(0, 12),
    size=st.integers(1, 40),
    seed=st.integers(0, 2**31),
)
def test_minibatches_go_through_the_transitions_pass_after_pass(transitions, batches, size, seed):
    order = minibatch_order(transitions, batches, size, np.random.default_rng(seed))
    assert order.shape == (batches, size)
    flat = order.ravel()
    for start in range(0, len(flat), transitions):
        whole = np.sort(flat[start : start + transitions])
        assert len(np.unique(whole)) == len(whole), "nothing twice in a pass"
        if len(whole) == transitions:
            assert np.array_equal(whole, np.arange(transitions))
        assert ((whole >= 0) & (whole < transitions)).all()


def test_nothing_is_dealt_from_no_transitions():
    assert minibatch_order(0, 0, 32, np.random.default_rng(0)).shape == (0, 32)


@given(
    epochs=st.integers(1, 8),
    size=st.integers(2, 64),
    interval=st.integers(1, 50),
    share=st.floats(0, 3),
)
def test_an_update_is_the_wanted_number_of_batches_if_there_is_data_for_it(
    epochs, size, interval, share
):
    config = PPOConfig(num_epochs=epochs, batch_size=size, update_interval=interval)
    transitions = int(share * config.rollout_transitions)
    batches = num_batches(transitions, config)
    assert batches <= interval
    assert (batches == 0) == (transitions == 0)
    if share >= 1 and transitions >= size:
        assert batches == interval
    if batches > 1:
        assert batches * size <= (epochs + 1) * transitions


def test_the_minibatches_of_an_update_depend_on_agent_and_version_alone():
    # So a learner that takes an agent over goes on as the one before it would have.
    def order(agent, version):
        stream = seeds.generator(SEED, seeds.Purpose.MINIBATCHES, agent, version)
        return minibatch_order(50, 2, 25, stream)

    assert np.array_equal(order(3, 4), order(3, 4))
    assert not np.array_equal(order(3, 4), order(4, 3))
    assert not np.array_equal(order(3, 4), order(3, 5))
