"""Spaces in a few words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from brigade.games.pettingzoo.observations import MASK, is_picture
from brigade.printable import printable


def space_words(space: spaces.Space[Any]) -> str:
    """Describe a space on one line; the mask in a Dict is left out.

    Examples
    --------
    >>> space_words(spaces.Discrete(5))
    '1 of 5'
    >>> space_words(spaces.Box(0, 1, (7, 7, 3)))
    '7x7x3 float32, 0 to 1'
    """
    if isinstance(space, spaces.Discrete):
        return f"1 of {space.n}" + (f", from {space.start}" if space.start else "")
    if isinstance(space, spaces.MultiDiscrete):
        sizes = [int(n) for n in np.ravel(space.nvec)]
        runs = [(size, len(list(run))) for size, run in groupby(sizes)]
        return ", ".join(f"1 of {n}" if k == 1 else f"{k} times 1 of {n}" for n, k in runs)
    if isinstance(space, spaces.MultiBinary):
        return f"{_shape(space.shape)} bits"
    if isinstance(space, spaces.Box):
        kind = "a picture of " if is_picture(space) else ""
        return f"{kind}{_shape(space.shape)} {space.dtype}, {_bounds(space)}"
    if isinstance(space, spaces.Dict):
        parts = [(key, part) for key, part in space.spaces.items() if key != MASK]
        return "; ".join(f"{printable(key)}: {space_words(part)}" for key, part in parts)
    if isinstance(space, spaces.Tuple):
        return "; ".join(space_words(part) for part in space.spaces)
    return printable(space)


def why_outside(space: spaces.Space[Any], value: Any) -> str:
    """Say what is wrong with a value that a space does not contain."""
    if isinstance(space, spaces.Dict) and hasattr(value, "keys"):
        for key, part in space.spaces.items():
            if key not in value:
                return f"it lacks {printable(repr(key))}"
            if not part.contains(value[key]):
                return f"[{printable(repr(key))}]: {why_outside(part, value[key])}"
        return "it has keys that its space lacks"
    if isinstance(space, spaces.Box):
        given = np.asarray(value)
        if not isinstance(value, np.ndarray):
            return f"{type(value).__name__}, where its space has an array of {space.dtype}"
        if given.shape != space.shape:
            return f"the shape {list(given.shape)}, where its space has {list(space.shape)}"
        if not np.can_cast(given.dtype, np.dtype(space.dtype)):
            return f"{given.dtype}, where its space has {space.dtype}"
        outside = given[~((given >= space.low) & (given <= space.high))]
        return f"{outside.ravel()[0]:g}, outside its space of {_bounds(space)}"
    return f"{printable(repr(value))[:40]} ({type(value).__name__}), not of its space"


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "1"


def _bounds(space: spaces.Box) -> str:
    if not (np.isfinite(space.low).any() or np.isfinite(space.high).any()):
        return "unbounded"
    least, most = _range(space.low), _range(space.high)
    return f"{least[0]:g} to {most[1]:g}" + (" at most" if least[0] < least[1] else "")


def _range(bounds: NDArray[Any]) -> tuple[float, float]:
    return float(bounds.min()), float(bounds.max())
