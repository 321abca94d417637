"""The distribution over continuous actions: one independent Gaussian for each of D numbers.

A network's outputs for it are the D means and, behind them, D numbers that the logarithms of the
deviations follow from (:func:`split`). An action is kept as it was drawn, so that its
log-probability is exact, and :func:`for_game` turns it into what the game is given. There, -1 to 1
is the whole range of a number that has bounds.

The distribution is *squashed* where the game is given the hyperbolic tangent of what was drawn;
its log-probabilities are then those of the tangent, and so lower by the logarithm of the tangent's
slope (Haarnoja et al. 2018, "Soft Actor-Critic", appendix C). Otherwise the game's side clips what
is beyond a bound.

All functions work on any leading shape.
"""

from __future__ import annotations

from math import atanh, e, log, pi

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

# Bounds of the logarithm of a deviation, which it approaches smoothly, so that it always has a
# gradient.
LOWEST, HIGHEST = -5.0, 2.0
_MIDDLE, _REACH = (HIGHEST + LOWEST) / 2, (HIGHEST - LOWEST) / 2
# The output that gives a deviation of 1: half of a bounded number's range.
INITIAL = _MIDDLE + _REACH * atanh(-_MIDDLE / _REACH)


def split(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Means and logarithms of the deviations, ``[..., D]`` each, of outputs ``[..., 2 D]``.

    In the middle between its bounds, the logarithm is about the output itself.
    """
    means, free = outputs.chunk(2, dim=-1)
    return means, _MIDDLE + _REACH * ((free - _MIDDLE) / _REACH).tanh()


def slope(log_deviations: Tensor) -> Tensor:
    """By how much the logarithms of the deviations grow with their outputs, ``[..., D]``."""
    return 1 - ((log_deviations - _MIDDLE) / _REACH).square()


def sample(outputs: Tensor, normals: Tensor, *, squashed: bool) -> tuple[Tensor, Tensor]:
    """Draw an action for each row.

    Parameters
    ----------
    outputs
        float32 ``[..., 2 D]``.
    normals
        Draws from the standard normal distribution, float32 ``[..., D]``.

    Returns
    -------
    actions
        float32 ``[..., D]``, not squashed.
    log_probs
        float32 ``[..., D]``, of each number.
    """
    means, log_deviations = split(outputs)
    actions = means + log_deviations.exp() * normals
    return actions, log_density(normals, log_deviations, actions, squashed=squashed)


def log_prob(outputs: Tensor, actions: Tensor, *, squashed: bool) -> Tensor:
    """Log-probability of each number of actions as they were drawn: ``[..., D]``."""
    means, log_deviations = split(outputs)
    normals = (actions - means) * (-log_deviations).exp()
    return log_density(normals, log_deviations, actions, squashed=squashed)


def log_density(
    normals: Tensor, log_deviations: Tensor, actions: Tensor, *, squashed: bool
) -> Tensor:
    """Log-probability ``[..., D]``, given the draws that actions are, and how wide they are."""
    density = -0.5 * normals.square() - log_deviations - 0.5 * log(2 * pi)
    return density - log_tanh_slope(actions) if squashed else density


def log_tanh_slope(actions: Tensor) -> Tensor:
    """``log(1 - tanh(x)^2)``, written so that it stays exact where the tangent rounds to 1."""
    beyond = actions.abs()
    return 2 * (log(2) - beyond - (-2 * beyond).exp().log1p())


def entropy(log_deviations: Tensor, actions: Tensor, *, squashed: bool) -> Tensor:
    """Differential entropy of each number in nats, ``[..., D]``.

    That of a Gaussian is ``log(deviation) + log(2 pi e) / 2``. Squashed, it is more by the mean of
    the logarithm of the tangent's slope, which has no closed form. As in Brax's PPO (Freeman et al.
    2021, "Brax - A Differentiable Physics Engine for Large Scale Rigid Body Simulation"), a single
    sample stands for the mean: here the action itself.
    """
    gaussian = log_deviations + 0.5 * log(2 * pi * e)
    return gaussian + log_tanh_slope(actions) if squashed else gaussian


def for_game(actions: NDArray[np.float32], *, squashed: bool) -> NDArray[np.float32]:
    """Turn actions as they were drawn into what the game is given, float32 ``[..., D]``."""
    return np.tanh(actions) if squashed else actions
