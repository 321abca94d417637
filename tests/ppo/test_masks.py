"""Choices that are not open: never drawn, and as if the component did not have them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brigade.config import PPOConfig
from brigade.learn.experience import read_experience
from brigade.policy import distribution
from brigade.policy.actor import Actor
from brigade.policy.network import Network
from brigade.ppo.agents import AgentStack, initial_state
from brigade.ppo.loss import Batch, Coefficients, loss_gradient
from brigade.ppo.rollout import Rollout, columns_for
from brigade.ppo.update import Updater
from brigade.wire.messages import BadMessage, Experience

NVEC = (4, 3)
NETWORK = Network(5, NVEC, 8, masked=True)


def masks_of(rows: int, rng: np.random.Generator, nvec=NVEC) -> np.ndarray:
    """Masks ``[rows, L]`` that leave each component at least one choice."""
    parts = []
    for n in nvec:
        part = rng.random((rows, n)) < 0.5
        part[np.arange(rows), rng.integers(0, n, rows)] = True
        parts.append(part)
    return np.concatenate(parts, 1)


def test_of_a_million_draws_none_is_closed():
    rng = np.random.default_rng(1)
    mask = masks_of(1_000_000, rng)
    logits = torch.from_numpy(rng.normal(0, 8, mask.shape).astype(np.float32))
    uniforms = torch.from_numpy(rng.random((len(mask), 2), dtype=np.float32))
    uniforms[:1000], uniforms[1000:2000] = 0.0, 1 - 2.0**-24
    actions, log_probs = distribution.sample(logits, NVEC, uniforms, torch.from_numpy(mask))
    columns = actions.numpy() + np.array([0, 4])
    assert np.take_along_axis(mask, columns, 1).all()
    assert torch.isfinite(log_probs).all()


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**31),
    nvec=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    entropy_coef=st.sampled_from([0.0, 0.5]),
)
def test_a_row_learns_as_if_its_components_had_the_open_choices_only(seed, nvec, entropy_coef):
    rng, size = np.random.default_rng(seed), 6
    mask = masks_of(size, rng, nvec)
    outputs = torch.from_numpy(rng.normal(size=(1, size, sum(nvec) + 1)))
    starts = np.cumsum([0, *nvec[:-1]])
    columns = np.array([
        [start + rng.choice(np.flatnonzero(row[start : start + n]))
         for start, n in zip(starts, nvec, strict=True)]
        for row in mask
    ])  # fmt: skip
    whole = Batch(
        torch.from_numpy(columns[None]),
        torch.from_numpy((rng.random((1, size, len(nvec))) < 0.8).astype(float)),
        torch.from_numpy(rng.normal(-1, 0.5, (1, size))),
        torch.from_numpy(rng.normal(size=(1, size, len(nvec)))),
        torch.from_numpy(rng.normal(size=(1, size))),
        torch.from_numpy(mask[None]),
    )
    coefficients = Coefficients(0.2, 0.5, entropy_coef)
    gradient, statistics = loss_gradient(outputs, whole, coefficients, nvec)
    assert not gradient[0, :, :-1].numpy()[~mask].any()
    alone = []
    for row in range(size):
        left = np.append(mask[row], True)
        counts = [int(mask[row, s : s + n].sum()) for s, n in zip(starts, nvec, strict=True)]
        here = slice(row, row + 1)
        small = Batch(
            torch.from_numpy(np.cumsum(mask[row])[columns[row]][None, None] - 1),
            *(getattr(whole, name)[:, here] for name in
              ("component_mask", "log_probs", "advantages", "targets")),
        )  # fmt: skip
        expected, said = loss_gradient(outputs[:, here, left], small, coefficients, counts)
        torch.testing.assert_close(gradient[0, row, left], expected[0, 0] / size)
        alone.append(said)
    torch.testing.assert_close(statistics, torch.stack(alone).mean(0))


def rollout_of(steps: int, seed: int) -> dict[str, np.ndarray]:
    """A game of one step each time, in which choice 2 pays where it is open and 0 elsewhere."""
    rng = np.random.default_rng(seed)
    mask = masks_of(steps, rng)
    actor = Actor(NETWORK, torch.from_numpy(initial_state(NETWORK, 3, 0).parameters)[None])
    actor.seat(np.zeros(steps, np.int64))
    observations = rng.random((steps, 5), dtype=np.float32)
    actions, log_probs, values = actor.act(observations, rng, mask)
    return {
        "observations": observations,
        "actions": actions,
        "component_mask": np.ones((steps, 2), np.bool_),
        "action_mask": mask,
        "log_probs": log_probs.sum(1),
        "values": values,
        "rewards": (actions[:, 0] == 2).astype(np.float32),
        "discounts": np.ones(steps, np.float32),
        "lengths": np.ones(steps, np.int32),
        "terminated": np.ones(steps, np.bool_),
        "truncated": np.zeros(steps, np.bool_),
        "policy_versions": np.zeros(steps, np.int64),
        "bootstrap_observations": observations[:0],
    }


@pytest.mark.parametrize("recompute", [False, True])
def test_a_policy_is_not_changed_by_recomputing_its_own_probabilities(recompute):
    config = PPOConfig(
        hidden_size=8, batch_size=64, update_interval=1, num_epochs=1, advantages="gae"
    )
    stack = AgentStack(NETWORK, [0], [initial_state(NETWORK, 3, 0)], torch.device("cpu"))
    metrics = Updater(stack, config, 1).update([Rollout.of(rollout_of(64, 5))], recompute=recompute)
    # In the first batch the policy is the one that acted, so the ratio is 1 everywhere.
    assert metrics[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert metrics[0]["clip_fraction"] == 0
    assert 0 < metrics[0]["entropy"] < np.log(4) + np.log(3)


def test_what_was_not_open_and_was_done_all_the_same_is_no_experience():
    arrays = rollout_of(32, 6)
    assert set(arrays) == set(columns_for("gae", masked=True))
    header = Experience(run="r", agent=0, sequence=0, progress=0.0)
    _, received = read_experience(header, arrays, "r", {0: NETWORK}, "gae")
    assert np.array_equal(received.rollout.action_mask, arrays["action_mask"])
    closed = arrays["action_mask"].copy()
    closed[3, arrays["actions"][3, 0]] = False
    with pytest.raises(BadMessage, match="not open"):
        read_experience(header, arrays | {"action_mask": closed}, "r", {0: NETWORK}, "gae")
    with pytest.raises(BadMessage):
        read_experience(header, arrays, "r", {0: Network(5, NVEC, 8)}, "gae")
