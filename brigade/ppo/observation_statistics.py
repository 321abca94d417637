"""Running mean and deviation of what an agent observes, kept in its own row of parameters.

What an update brings is merged in float64 (Chan, Golub and LeVeque 1979, "Updating formulae and a
pairwise algorithm for computing sample variances") and rounded only to be stored. The mean is
stored as a float32 and what that leaves of it, so that neither a large offset nor many small steps
are lost to rounding; and the deviation rather than the variance, which might overflow.

An agent's policy changes, and with it what the agent observes. So no more than
:data:`LARGEST_COUNT` observations count: from then on, old ones are slowly forgotten. Up to there,
float32 counts exactly.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

LARGEST_COUNT = 1 << 24


def take_in(parameters: Mapping[str, Tensor], seen: Tensor) -> None:
    """Let one agent's statistics take in observations, in place.

    Parameters
    ----------
    parameters
        Views of the agent's row, by the names of ``Network.shapes``.
    seen
        The normalised columns of what it observed, ``[n, N]``, on the same device; where n is 0,
        nothing changes.
    """
    if not len(seen):
        return
    count, mean, mean_rest, deviation = (
        parameters[f"observations.{name}"] for name in ("count", "mean", "mean_rest", "deviation")
    )
    wide, n = seen.double(), len(seen)
    new_mean = wide.sum(0) / n  # exact where a column is constant
    new_variance = (wide - new_mean).square().sum(0) / n
    total = count.double() + n
    old_mean = mean.double() + mean_rest.double()
    kept, apart = count.double() / total, new_mean - old_mean
    share = 1 - kept  # of the new ones; exactly 1 where there are no old ones
    merged = old_mean + share * apart
    variance = (
        kept * deviation.double().square() + share * new_variance + share * kept * apart.square()
    )
    count.copy_(total.clamp(max=LARGEST_COUNT))
    mean.copy_(merged)
    mean_rest.copy_(merged - mean.double())
    deviation.copy_(variance.sqrt())
