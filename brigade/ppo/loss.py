"""PPO's loss and its gradient for the network's outputs, for K agents at once.

Per agent, over a batch of B transitions::

    loss = mean(max(-A ratio, -A clip(ratio, 1 - c, 1 + c)))     A in units of its deviation
         + value_coef / 2 * mean((value - target)^2)             in normalised units
         - entropy_coef * mean((1 - b) entropy + b mean(log π))             b = BARRIER

Ratio, entropy and log π are those of the action components that count: a part of an action that had
no effect carries nothing but noise, so it has no gradient. Each component may have an advantage A
of its own: its logits then follow the first line's gradient for that A.

The mean of log π is over a component's open choices, a log barrier. The gradients of A and of the
entropy vanish with a choice's probability, so a policy that has grown certain cannot change its
mind when the others' learning turns what was good into what is bad. The barrier's does not vanish.
Where all choices are about equally likely, it and the entropy pull alike.

With optimism o, advantages and value errors are multiplied by 1 - o where what came is worse than
what was expected. While partners explore, a choice that needs them both is mostly paid badly, and
whoever goes by the mean learns to avoid it. Values are then expectiles, between a mean (o = 0) and
the best that can come (o = 1): Matignon et al. 2007, "Hysteretic Q-Learning". Where what comes is
luck, they are too high, so it should fall to 0 (Panait et al. 2006, "Lenient learners in
cooperative multiagent systems").

Continuous actions have no barrier: the bonus is their entropy alone. That of squashed ones
(:func:`brigade.policy.gaussian.entropy`) moves with the action, which is its mean and deviation
times a number that was drawn.

Sources: Schulman et al. 2017, "Proximal Policy Optimization Algorithms", equations 7 and 9; Agarwal
et al. 2021, "On the Theory of Policy Gradient Methods: Optimality, Approximation, and Distribution
Shift", for the barrier. The gradient is written out, since everything behind the outputs is matrix
products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from brigade.policy import gaussian
from brigade.policy.distribution import by_column, entropy, log_prob, log_softmax
from brigade.policy.network import Network

# The barrier's share in the bonus. Alone, it would keep all choices too likely to play well with.
BARRIER = 0.1
STATISTICS = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")


@dataclass(frozen=True)
class Batch:
    """One minibatch for each of K agents."""

    # [K, B, C]: int64, components as columns of the logits; or continuous ones as they were drawn
    actions: Tensor
    component_mask: Tensor  # [K, B, C]: 1 where a component had an effect, 0 where it had none
    log_probs: Tensor  # [K, B]: of the components in the mask, under the policy to stay close to
    advantages: Tensor  # [K, B, C]: of each component
    targets: Tensor  # [K, B]: value targets in normalised units
    action_mask: Tensor | None = None  # bool [K, B, L]: which choices were open; all without it

    @classmethod
    def empty(cls, network: Network, agents: int, size: int, device: torch.device) -> Batch:
        """Allocate for K agents with B transitions each."""
        components = network.num_components

        def room(*shape: int) -> Tensor:
            return torch.empty(agents, size, *shape, device=device)

        dtype = torch.float32 if network.num_continuous else torch.int64
        actions = torch.empty(agents, size, components, dtype=dtype, device=device)
        mask = torch.empty(agents, size, network.num_logits, dtype=torch.bool, device=device)
        return cls(
            actions,
            room(components),
            room(),
            room(components),
            room(),
            mask if network.masked else None,
        )


@dataclass(frozen=True)
class Coefficients:
    """Weights of the loss's parts."""

    clip: float
    value: float
    entropy: float | Tensor
    worse: float | Tensor | None = None  # of errors of values above their targets; 1 without it


def loss_gradient(
    outputs: Tensor, batch: Batch, coefficients: Coefficients, nvec: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Gradient of each agent's loss for its network's outputs, where actions are choices.

    Parameters
    ----------
    outputs
        ``[K, B, L + 1]``: logits, then the normalised value.

    Returns
    -------
    gradient
        ``[K, B, L + 1]``.
    statistics
        ``[K, 5]``: the batch means named in :data:`STATISTICS`. ``kl`` estimates the divergence
        of the current policy from the one before the update by ``ratio - 1 - log ratio``.
    """
    size = outputs.shape[1]
    log_probs = log_softmax(outputs[..., :-1], nvec, batch.action_mask)
    probs = log_probs.exp()
    weights = by_column(batch.component_mask, nvec)
    step = _Step.of(log_prob(log_probs, batch.actions, batch.component_mask), batch, coefficients)
    slope = step.slope
    gradient = torch.empty_like(outputs)
    logits = gradient[..., :-1]
    # d log_prob / d logits = onehot(action) - probs, in each component.
    torch.mul(probs, by_column(-slope, nvec), out=logits)
    logits.scatter_add_(-1, batch.actions, slope)
    # d entropy / d logits = -probs * (log_probs + that component's entropy).
    plogp = probs * log_probs
    parts = [
        part.sum(-1, keepdim=True).expand(part.shape) for part in torch.split(plogp, list(nvec), -1)
    ]
    surprise = plogp - probs * torch.cat(parts, dim=-1)
    # d mean log_prob / d logits = 1 / choices - probs, over the choices that are open.
    spread = torch.split(probs, list(nvec), -1)
    if batch.action_mask is None:
        excess = torch.cat([part - 1 / part.shape[-1] for part in spread], dim=-1)
    else:
        open_choices = torch.split(batch.action_mask.to(probs.dtype), list(nvec), -1)
        excess = torch.cat(
            [
                part - choices / choices.sum(-1, keepdim=True).clamp(min=1)
                for part, choices in zip(spread, open_choices, strict=True)
            ],
            dim=-1,
        )
    certainty = torch.lerp(surprise, excess, BARRIER)
    logits.add_(certainty * (coefficients.entropy / size)).mul_(weights)
    value_error = _value_gradient(outputs, batch, coefficients, gradient)
    return gradient, step.statistics(value_error, entropy(log_probs, weights))


def continuous_loss_gradient(
    outputs: Tensor, batch: Batch, coefficients: Coefficients, *, squashed: bool
) -> tuple[Tensor, Tensor]:
    """Gradient of each agent's loss for its network's outputs, where actions are continuous.

    Parameters
    ----------
    outputs
        ``[K, B, 2 D + 1]``: means, what deviations follow from, then the normalised value.

    Returns
    -------
    gradient
        ``[K, B, 2 D + 1]``.
    statistics
        ``[K, 5]``, as of :func:`loss_gradient`.
    """
    size, actions, counts = outputs.shape[1], batch.actions, batch.component_mask
    means, log_deviations = gaussian.split(outputs[..., :-1])
    precision = (-log_deviations).exp()
    normals = (actions - means) * precision
    density = gaussian.log_density(normals, log_deviations, actions, squashed=squashed)
    step = _Step.of((density * counts).sum(-1), batch, coefficients)
    bonus = coefficients.entropy / size
    # d density / d mean = normal / deviation; d density / d log deviation = normal^2 - 1.
    by_mean = step.slope * normals * precision
    by_log_deviation = step.slope * (normals.square() - 1) - bonus
    if squashed:
        # d log(1 - tanh(x)^2) / d x = -2 tanh(x), where x = mean + deviation * normal.
        pull = 2 * bonus * actions.tanh()
        by_mean = by_mean + pull
        by_log_deviation = by_log_deviation + pull * (actions - means)
    gradient = torch.empty_like(outputs)
    components = actions.shape[-1]
    torch.mul(by_mean, counts, out=gradient[..., :components])
    torch.mul(
        by_log_deviation * gaussian.slope(log_deviations),
        counts,
        out=gradient[..., components:-1],
    )
    value_error = _value_gradient(outputs, batch, coefficients, gradient)
    entropies = gaussian.entropy(log_deviations, actions, squashed=squashed)
    return gradient, step.statistics(value_error, (entropies * counts).sum(-1))


@dataclass(frozen=True)
class _Step:
    """How far the policy is from the one to stay close to, and what the first line makes of it."""

    clip: float
    log_ratio: Tensor  # [K, B]
    ratio: Tensor  # [K, B]
    surrogate: Tensor  # [K, B, C]
    clipped: Tensor  # [K, B, C]
    slope: Tensor  # [K, B, C]: of the loss, with a component's log-probability

    @classmethod
    def of(cls, log_probs: Tensor, batch: Batch, coefficients: Coefficients) -> _Step:
        """Compare log-probabilities ``[K, B]``, of the components that count, with the batch's."""
        log_ratio = log_probs - batch.log_probs
        ratio = log_ratio.exp()
        around = ratio.unsqueeze(-1)
        surrogate = -batch.advantages * around
        clipped = -batch.advantages * around.clamp(1 - coefficients.clip, 1 + coefficients.clip)
        # Where the clipped branch is the larger one, the ratio is out of range and its slope is 0.
        slope = surrogate.masked_fill(surrogate < clipped, 0.0) / ratio.shape[1]
        return cls(coefficients.clip, log_ratio, ratio, surrogate, clipped, slope)

    def statistics(self, value_error: Tensor, entropies: Tensor) -> Tensor:
        """:data:`STATISTICS`, ``[K, 5]``, from the other lines' ``[K, B]``."""
        return torch.stack(
            [
                torch.maximum(self.surrogate, self.clipped).mean((1, 2)),
                0.5 * value_error.square().mean(1),
                entropies.mean(1),
                (self.ratio - 1 - self.log_ratio).mean(1),
                ((self.ratio - 1).abs() > self.clip).float().mean(1),
            ],
            dim=1,
        )


def _value_gradient(
    outputs: Tensor, batch: Batch, coefficients: Coefficients, gradient: Tensor
) -> Tensor:
    """Fill the gradient's last column; return the values' errors ``[K, B]``."""
    value_error = outputs[..., -1] - batch.targets
    felt = value_error
    if coefficients.worse is not None:
        felt = torch.where(value_error > 0, value_error * coefficients.worse, value_error)
    torch.mul(felt, coefficients.value / outputs.shape[1], out=gradient[..., -1])
    return value_error
