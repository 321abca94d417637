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

from brigade.policy.distribution import by_column, entropy, log_prob, log_softmax

# The barrier's share in the bonus. Alone, it would keep all choices too likely to play well with.
BARRIER = 0.1
STATISTICS = ("policy_loss", "value_loss", "entropy", "kl", "clip_fraction")


@dataclass(frozen=True)
class Batch:
    """One minibatch for each of K agents."""

    columns: Tensor  # int64 [K, B, C]: action components as columns of the logits
    component_mask: Tensor  # [K, B, C]: 1 where a component had an effect, 0 where it had none
    log_probs: Tensor  # [K, B]: of the components in the mask, under the policy to stay close to
    advantages: Tensor  # [K, B, C]: of each component
    targets: Tensor  # [K, B]: value targets in normalised units
    action_mask: Tensor | None = None  # bool [K, B, L]: which choices were open; all without it

    @classmethod
    def empty(
        cls, agents: int, size: int, nvec: Sequence[int], device: torch.device, *, masked: bool
    ) -> Batch:
        """Allocate for K agents with B transitions each."""
        components = len(nvec)

        def room(*shape: int) -> Tensor:
            return torch.empty(agents, size, *shape, device=device)

        columns = torch.empty(agents, size, components, dtype=torch.int64, device=device)
        mask = torch.empty(agents, size, sum(nvec), dtype=torch.bool, device=device)
        return cls(
            columns,
            room(components),
            room(),
            room(components),
            room(),
            mask if masked else None,
        )


@dataclass(frozen=True)
class Coefficients:
    """Weights of the loss's parts."""

    clip: float
    value: float
    entropy: float | Tensor


def loss_gradient(
    outputs: Tensor, batch: Batch, coefficients: Coefficients, nvec: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Gradient of each agent's loss for its network's outputs.

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
    log_ratio = log_prob(log_probs, batch.columns, batch.component_mask) - batch.log_probs
    ratio = log_ratio.exp()
    around = ratio.unsqueeze(-1)
    surrogate = -batch.advantages * around
    clipped = -batch.advantages * around.clamp(1 - coefficients.clip, 1 + coefficients.clip)
    value_error = outputs[..., -1] - batch.targets

    # Where the clipped branch is the larger one, the ratio is out of range and its slope is 0.
    slope = surrogate.masked_fill(surrogate < clipped, 0.0) / size
    gradient = torch.empty_like(outputs)
    logits = gradient[..., :-1]
    # d log_prob / d logits = onehot(action) - probs, in each component.
    torch.mul(probs, by_column(-slope, nvec), out=logits)
    logits.scatter_add_(-1, batch.columns, slope)
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
    torch.mul(value_error, coefficients.value / size, out=gradient[..., -1])

    statistics = torch.stack(
        [
            torch.maximum(surrogate, clipped).mean((1, 2)),
            0.5 * value_error.square().mean(1),
            entropy(log_probs, weights).mean(1),
            (ratio - 1 - log_ratio).mean(1),
            ((ratio - 1).abs() > coefficients.clip).float().mean(1),
        ],
        dim=1,
    )
    return gradient, statistics
