"""PPO for one agent, as plainly as it can be written: loops, autograd, torch.optim.Adam.

The independent computation that the stacked update is compared with. Everything but the order of
the minibatches is written anew here, in float64.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from brigade import seeds
from brigade.config import PPOConfig
from brigade.policy.network import Network
from brigade.ppo.agents import AgentState
from brigade.ppo.loss import BARRIER
from brigade.ppo.rollout import Rollout
from brigade.ppo.update import minibatch_order, num_batches

LAYERS = (("hidden1", 0), ("hidden2", 2), ("heads", 4))


def turned(tensor: Tensor) -> Tensor:
    """A copy between our layout of weights and torch's, which is transposed; biases stay."""
    return tensor.mT.clone() if tensor.ndim == 2 else tensor.clone()


def plain_gae(rewards, values, discounts, lengths, bootstraps, gae_lambda) -> np.ndarray:
    """Generalised advantage estimation by its recursion, fragment after fragment."""
    advantages: list[float] = []
    start = 0
    for length, bootstrap in zip(lengths, bootstraps, strict=True):
        following_value, following = float(bootstrap), 0.0
        fragment = []
        for t in reversed(range(start, start + int(length))):
            delta = float(rewards[t]) + float(discounts[t]) * following_value - float(values[t])
            following = delta + float(discounts[t]) * gae_lambda * following
            fragment.append(following)
            following_value = float(values[t])
        advantages += reversed(fragment)
        start += int(length)
    return np.array(advantages)


def felt(advantage: float, config: PPOConfig) -> float:
    """An advantage as optimism has it."""
    return advantage if advantage >= 0 else (1 - config.optimism) * advantage


def plain_credit(rollout, bootstraps, default_values, advantages, config) -> np.ndarray:
    """What each component of each action is credited with, ``[n, C]``, step by step."""
    own = advantages
    advantages = np.array([felt(advantage, config) for advantage in own])
    unit = np.std(advantages) + 1e-8
    credit = []
    start = 0
    for length, bootstrap in zip(rollout.lengths, bootstraps, strict=True):
        for t in range(start, start + int(length)):
            last = t == start + int(length) - 1
            seen = (advantages[t] - np.mean(advantages)) / unit
            done = seen
            if config.advantages == "difference_rewards":
                done = float(rollout.rewards[t]) - float(rollout.default_rewards[t])
                if rollout.changed[t]:
                    following = float(bootstrap) if last else float(rollout.values[t + 1])
                    default = 0.0 if rollout.default_terminated[t] else next(default_values)
                    later = 0.0 if last else own[t + 1]
                    done += float(rollout.discounts[t]) * (
                        following - default + config.gae_lambda * later
                    )
                done = felt(done, config)
            credit.append([done] * (rollout.actions.shape[1] - 1) + [seen])
        start += int(length)
    assert config.advantages == "gae" or next(default_values, None) is None
    found = np.array(credit)
    if config.advantages == "difference_rewards":
        found[:, :-1] /= max(unit, np.sqrt(np.mean(found[:, 0] ** 2)))
    return found


def plain_loss(
    outputs: Tensor,
    nvec: tuple[int, ...],
    actions: Tensor,
    component_mask: Tensor,
    behaviour_log_probs: Tensor,
    advantages: Tensor,
    targets: Tensor,
    config: PPOConfig,
) -> tuple[Tensor, dict[str, float]]:
    """PPO's loss over one batch ``[B]``, from the papers' formulas, and what is reported of it.

    Components of an action outside ``component_mask`` ``[B, C]`` are as if there were none. Each
    component has the objective of its own advantage ``[B, C]``, and feels it through its own
    share of the ratio.
    """
    parts = [Categorical(logits=part) for part in outputs[:, :-1].split(list(nvec), -1)]
    each = [p.log_prob(actions[:, i]) * component_mask[:, i] for i, p in enumerate(parts)]
    log_probs = sum(each)
    entropy = sum(part.entropy() * component_mask[:, i] for i, part in enumerate(parts))
    barrier = sum(part.logits.mean(-1) * component_mask[:, i] for i, part in enumerate(parts))
    bonus = (1 - BARRIER) * entropy + BARRIER * barrier
    ratio = torch.exp(log_probs - behaviour_log_probs)
    objectives = []
    for i, own in enumerate(each):
        felt = torch.exp(log_probs.detach() - own.detach() + own - behaviour_log_probs)
        clipped = torch.clamp(felt, 1 - config.clip, 1 + config.clip)
        objectives.append(torch.min(felt * advantages[:, i], clipped * advantages[:, i]))
    objective = torch.stack(objectives, 1)
    value_error = outputs[:, -1] - targets
    value_loss = 0.5 * (value_error**2).mean()
    weights = torch.ones_like(targets)
    weights[value_error > 0] = 1 - config.optimism
    felt_loss = 0.5 * (weights * value_error**2).mean()
    loss = (
        -objective.sum(1).mean()
        + config.value_coef * felt_loss
        - config.entropy_coef * bonus.mean()
    )
    said = {
        "policy_loss": -objective.mean(),
        "value_loss": value_loss,
        "entropy": entropy.mean(),
        "kl": (ratio - 1 - torch.log(ratio)).mean(),
        "clip_fraction": ((ratio - 1).abs() > config.clip).double().mean(),
    }
    return loss, {name: float(value.detach()) for name, value in said.items()}


@dataclass
class PlainAgent:
    """One agent and its learner."""

    network: Network
    state: AgentState
    config: PPOConfig
    agent: int
    seed: int
    norms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        n, h = self.network, self.network.hidden_size
        self.model = nn.Sequential(
            nn.Linear(n.num_features, h, dtype=torch.float64),
            nn.ReLU(),
            nn.Linear(h, h, dtype=torch.float64),
            nn.ReLU(),
            nn.Linear(h, n.num_logits + 1, dtype=torch.float64),
        )
        self.adam = torch.optim.Adam(self.model.parameters(), lr=1.0, eps=1e-8)
        tensors = {
            name: n.state_dict(torch.from_numpy(getattr(self.state, name).astype(np.float64)))
            for name in ("parameters", "first_moment", "second_moment")
        }
        for name, index in LAYERS:
            layer = self.model[index]
            with torch.no_grad():
                layer.weight.copy_(tensors["parameters"][f"{name}.weight"].T)
                layer.bias.copy_(tensors["parameters"][f"{name}.bias"])
            for parameter, full in ((layer.weight, "weight"), (layer.bias, "bias")):
                moments = [tensors[m][f"{name}.{full}"] for m in ("first_moment", "second_moment")]
                self.adam.state[parameter] = {
                    "step": torch.tensor(float(self.state.steps)),
                    "exp_avg": turned(moments[0]),
                    "exp_avg_sq": turned(moments[1]),
                }
        self.weight, self.sum, self.sum_squares = (float(x) for x in self.state.statistics)
        self.version = self.state.version

    def row(self, what: str = "parameters") -> np.ndarray:
        """The parameters, or one of Adam's moments, in the network's order."""
        found = {}
        for name, index in LAYERS:
            for kind, tensor in self.model[index].named_parameters():
                source = tensor.detach()
                if what != "parameters":
                    source = self.adam.state[tensor][what]
                found[f"{name}.{kind}"] = turned(source).reshape(-1)
        return torch.cat([found[name] for name in self.network.shapes]).numpy()

    def moments(self) -> tuple[float, float]:
        if self.weight == 0:
            return 0.0, 1.0
        mean = self.sum / self.weight
        return mean, max(1e-2, np.sqrt(max(0.0, self.sum_squares / self.weight - mean**2)))

    def recomputed(self, rollout: Rollout) -> Rollout:
        """The rollout with the log-probabilities and values of the agent as it is now."""
        mean, deviation = self.moments()
        with torch.no_grad():
            outputs = self.model(torch.from_numpy(rollout.observations).double())
        parts = outputs[:, :-1].split(list(self.network.action_nvec), -1)
        actions = torch.from_numpy(rollout.actions.astype(np.int64))
        component_mask = torch.from_numpy(rollout.component_mask).double()
        log_probs = sum(
            Categorical(logits=p).log_prob(actions[:, i]) * component_mask[:, i]
            for i, p in enumerate(parts)
        )
        return replace(
            rollout,
            log_probs=log_probs.numpy(),
            values=(outputs[:, -1] * deviation + mean).numpy(),
        )

    def update(
        self, rollout: Rollout, rate: float | None = None, *, recompute: bool = False
    ) -> dict[str, float]:
        """Learn from a rollout; the mean of what the batches reported."""
        config = self.config
        self.version += 1
        if not len(rollout):
            return {}
        if recompute:
            rollout = self.recomputed(rollout)
        mean, deviation = self.moments()
        following, default = (
            torch.from_numpy(seen).double()
            for seen in (rollout.bootstrap_observations, rollout.default_observations)
        )
        with torch.no_grad():
            values = iter((self.model(following)[:, -1] * deviation + mean).tolist())
            default_values = iter((self.model(default)[:, -1] * deviation + mean).tolist())
        bootstraps = [0.0 if ended else next(values) for ended in rollout.terminated]
        advantages = plain_gae(
            rollout.rewards,
            rollout.values,
            rollout.discounts,
            rollout.lengths,
            bootstraps,
            config.gae_lambda,
        )
        credit = plain_credit(rollout, bootstraps, default_values, advantages, config)
        returns = advantages + rollout.values
        a = config.popart_rate
        self.weight = (1 - a) * self.weight + a
        self.sum = (1 - a) * self.sum + a * returns.mean()
        self.sum_squares = (1 - a) * self.sum_squares + a * (returns**2).mean()
        new_mean, new_deviation = self.moments()
        with torch.no_grad():
            self.model[4].weight[-1] *= deviation / new_deviation
            bias = self.model[4].bias
            bias[-1] = (bias[-1] * deviation + mean - new_mean) / new_deviation
        targets = torch.from_numpy((returns - new_mean) / new_deviation)
        batches = num_batches(len(rollout), config)
        order = minibatch_order(
            len(rollout),
            batches,
            config.batch_size,
            seeds.generator(self.seed, seeds.Purpose.MINIBATCHES, self.agent, self.version - 1),
        )
        said: list[dict[str, float]] = []
        for group in self.adam.param_groups:
            group["lr"] = config.learning_rate if rate is None else rate
        for index in order:
            self.adam.zero_grad()
            loss, statistics = plain_loss(
                self.model(torch.from_numpy(rollout.observations[index]).double()),
                self.network.action_nvec,
                torch.from_numpy(rollout.actions[index].astype(np.int64)),
                torch.from_numpy(rollout.component_mask[index]).double(),
                torch.from_numpy(rollout.log_probs[index]).double(),
                torch.from_numpy(credit[index]),
                targets[torch.from_numpy(index)],
                config,
            )
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.max_grad_norm)
            self.norms.append(float(norm))
            self.adam.step()
            said.append(statistics | {"grad_norm": float(norm)})
        return {name: float(np.mean([s[name] for s in said])) for name in said[0]}


def random_rollout(
    network: Network, transitions: int, seed: int, *, scale: float = 1.0, shift: float = 0.0
) -> Rollout:
    """Ragged fragments of all three endings, with behaviour log-probabilities near uniform."""
    rng = np.random.default_rng(seed)
    lengths: list[int] = []
    while sum(lengths) < transitions:
        lengths.append(min(int(rng.integers(1, 12)), transitions - sum(lengths)))
    terminated = rng.random(len(lengths)) < 0.4
    nvec, components = network.action_nvec, network.num_components
    uniform = -float(np.log(nvec).sum()) - network.num_continuous

    def floats(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    def actions() -> np.ndarray:
        if not nvec:
            return floats(transitions, components)
        return rng.integers(0, nvec, (transitions, components)).astype(np.uint8)

    changed, default_terminated = rng.random(transitions) < 0.3, rng.random(transitions) < 0.2
    return Rollout.of(
        {
            "observations": rng.random((transitions, network.num_features), dtype=np.float32),
            "actions": actions(),
            "component_mask": rng.random((transitions, components)) < 0.8,
            "log_probs": (uniform + 0.3 * floats(transitions)).astype(np.float32),
            "values": scale * floats(transitions),
            "rewards": (scale * floats(transitions) + shift).astype(np.float32),
            "discounts": np.where(rng.random(transitions) < 0.3, 1.0, 0.97).astype(np.float32),
            "lengths": np.array(lengths, np.int32),
            "terminated": terminated,
            "truncated": np.zeros_like(terminated),
            "policy_versions": np.zeros(len(lengths), np.int64),
            "bootstrap_observations": rng.random(
                (int((~terminated).sum()), network.num_features), dtype=np.float32
            ),
            "default_rewards": (scale * floats(transitions) + shift).astype(np.float32),
            "default_terminated": default_terminated,
            "changed": changed,
            "default_observations": rng.random(
                (int((changed & ~default_terminated).sum()), network.num_features), dtype=np.float32
            ),
        }
    )
