"""The distribution over actions: one independent categorical per action component.

Logits of the components lie side by side in one last axis of length ``L = sum(nvec)``. All
functions work on any leading shape.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# The logit of a choice that is not open: its probability is exactly 0, and all stays finite.
CLOSED = -1e9


def log_softmax(logits: Tensor, nvec: Sequence[int], mask: Tensor | None = None) -> Tensor:
    """Normalise each component's logits ``[..., L]`` to log-probabilities ``[..., L]``.

    ``mask`` bool ``[..., L]`` says which choices are open. Written out: over so few columns,
    torch's own takes several times as long on a CPU.
    """
    if mask is not None:
        logits = logits.masked_fill(~mask, CLOSED)
    parts = []
    for part in torch.split(logits, list(nvec), dim=-1):
        below = part - part.amax(-1, keepdim=True)
        parts.append(below - below.exp().sum(-1, keepdim=True).log_())
    return torch.cat(parts, dim=-1)


def offsets(nvec: Sequence[int]) -> list[int]:
    """First column of each component: for ``(10, 2, 2)``, ``[0, 10, 12]``."""
    return [sum(nvec[:i]) for i in range(len(nvec))]


def log_prob(log_probs: Tensor, columns: Tensor, component_mask: Tensor) -> Tensor:
    """Log-probability ``[...]`` of the components of an action that count.

    Parameters
    ----------
    log_probs
        ``[..., L]`` from :func:`log_softmax`.
    columns
        int64 ``[..., C]``: for each component its offset plus the choice.
    component_mask
        ``[..., C]``: 1 for a component that had an effect, 0 for one that had none.
    """
    return (log_probs.gather(-1, columns) * component_mask).sum(-1)


def by_column(numbers: Tensor, nvec: Sequence[int]) -> Tensor:
    """Repeat each component's number ``[..., C]`` for each of its columns: ``[..., L]``."""
    parts = [numbers[..., i : i + 1].expand(*numbers.shape[:-1], n) for i, n in enumerate(nvec)]
    return torch.cat(parts, dim=-1)


def entropy(log_probs: Tensor, weights: Tensor) -> Tensor:
    """Sum of entropies ``[...]`` in nats, from log-probabilities and their weights ``[..., L]``."""
    return -(log_probs.exp() * log_probs * weights).sum(-1)


def sample(
    logits: Tensor, nvec: Sequence[int], uniforms: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Draw an action for each row by the inverse of the cumulative distribution.

    Parameters
    ----------
    logits
        float32 ``[..., L]``.
    uniforms
        Numbers in [0, 1), float32 ``[..., C]``: one for each component.
    mask
        bool ``[..., L]``: which choices are open, at least one of each component.

    Returns
    -------
    actions
        int64 ``[..., C]``.
    log_probs
        float32 ``[..., C]``: each drawn choice's log-probability.
    """
    log_probs = log_softmax(logits, nvec, mask)
    choices = []
    for i, part in enumerate(torch.split(log_probs, list(nvec), dim=-1)):
        # Measured against the sum as it was rounded, a uniform below 1 stays below the whole, and
        # no choice of probability 0 is ever drawn.
        sums = part.exp().cumsum(-1)
        below = sums[..., :-1] <= uniforms[..., i : i + 1] * sums[..., -1:]
        choices.append(below.sum(-1))
    actions = torch.stack(choices, dim=-1)
    columns = actions + torch.tensor(offsets(nvec), device=actions.device)
    return actions, log_probs.gather(-1, columns)


def greedy(logits: Tensor, nvec: Sequence[int]) -> Tensor:
    """Return each component's most probable choice, int64 ``[..., C]``."""
    return torch.stack(
        [part.argmax(-1) for part in torch.split(logits, list(nvec), dim=-1)], dim=-1
    )
