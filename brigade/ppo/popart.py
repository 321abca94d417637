"""PopArt moments: running statistics of an agent's returns, for values at unit scale.

Returns differ by orders of magnitude from game to game. The value head therefore
predicts ``(return - mean) / deviation``; when the statistics move, the head is rescaled so that its
predictions in the game's own units stay what they were (PopArt: van Hasselt et al. 2016, "Learning
values across many orders of magnitude").

An agent's statistics are one float64 row: ``[weight, mean, mean of squares]``, where ``weight``
corrects the moving averages' start from zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

WEIGHT, MEAN, SQUARES = range(3)
LEAST_DEVIATION = 1e-2


def initial() -> Tensor:
    """Statistics of an agent that has seen nothing: float64 ``[3]``; mean 0, deviation 1."""
    return torch.zeros(3, dtype=torch.float64)


def moments(statistics: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, float32 ``[K]`` each, of statistics ``[K, 3]``."""
    seen = statistics[:, WEIGHT] > 0
    weight = statistics[:, WEIGHT].clamp(min=1e-12)
    mean = statistics[:, MEAN] / weight
    variance = statistics[:, SQUARES] / weight - mean.square()
    deviation = variance.clamp(min=0.0).sqrt().clamp(min=LEAST_DEVIATION)
    return mean.float(), torch.where(seen, deviation, 1.0).float()


def update(statistics: Tensor, returns: Sequence[Tensor], rate: float) -> Tensor:
    """Move the averages ``[K, 3]`` towards each agent's new returns (one 1-D tensor an agent).

    An agent without new returns keeps its row. Returns new statistics; the old ones stay as
    they are.
    """
    updated = statistics.clone()
    for row, new in zip(updated, returns, strict=True):
        if new.numel():
            wide = new.double()
            fresh = torch.stack([torch.ones_like(row[0]), wide.mean(), wide.square().mean()])
            row.lerp_(fresh, rate)
    return updated


def rescale_value_head(
    parameters: Mapping[str, Tensor],
    old: tuple[Tensor, Tensor],
    new: tuple[Tensor, Tensor],
) -> None:
    """Keep the value predictions, in the game's units, as the moments change; in place.

    ``parameters`` are the network's views of rows ``[K, D]``; ``old`` and ``new`` are
    ``(mean, deviation)`` with ``[K]`` each.
    """
    (old_mean, old_deviation), (mean, deviation) = old, new
    weight, bias = parameters["heads.weight"][:, :, -1], parameters["heads.bias"][:, -1]
    ratio = old_deviation / deviation
    weight.mul_(ratio.unsqueeze(1))
    bias.mul_(ratio).add_((old_mean - mean) / deviation)
