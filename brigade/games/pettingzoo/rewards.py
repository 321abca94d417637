"""Rewards as environments give them, as one number each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from brigade.games.pettingzoo.errors import BadValue
from brigade.printable import printable, shortened

LARGEST = float(np.finfo(np.float32).max)  # as which rewards are kept


def scalar(reward: Any, weights: Sequence[float] | None = None) -> float:
    """Read a reward, or weigh the parts of a vector of rewards.

    Raises
    ------
    BadValue
        It is no number, or not one that float32 holds; or a vector where there are no weights or
        other than so many.
    """
    try:
        given = np.asarray(reward, np.float64)
    except (TypeError, ValueError, OverflowError):
        found = f"{shortened(printable(repr(reward)))} ({type(reward).__name__})"
        raise BadValue(f"a reward of {found}, which is not a number") from None
    if weights is not None:
        if given.shape != (len(weights),):
            raise BadValue(
                f"a reward of {max(1, given.size)} parts, and --reward-weights has {len(weights)}"
            )
        value = float(given @ np.asarray(weights, np.float64))
    elif given.size == 1:
        value = float(given.reshape(()))
    else:
        raise BadValue(
            f"a reward of {given.size} parts; say what each is worth: --reward-weights "
            + ",".join(["1"] * min(given.size, 4))
        )
    if not math.isfinite(value):
        raise BadValue(f"a reward of {value}")
    if abs(value) > LARGEST:
        raise BadValue(f"a reward of {value}, which is beyond what float32 holds")
    return value
