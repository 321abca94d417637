"""Actions as numbers of choices or as rows of floats, and back into what a space contains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from brigade.games.pettingzoo.errors import BadValue, UnsupportedSpace
from brigade.printable import printable, shortened

MOST_KNOWN = 4096  # actions that are made beforehand


class ChoiceActions:
    """A Discrete, MultiDiscrete or MultiBinary space as C components of so many choices each.

    Components follow the space in C order. Choice i of a component stands for ``start + i``.

    Attributes
    ----------
    nvec
        Number of choices of each component.
    num_choices
        Their sum, the length of a mask.
    """

    def __init__(
        self, space: spaces.Discrete[Any] | spaces.MultiDiscrete[Any] | spaces.MultiBinary
    ):
        start: ArrayLike
        if isinstance(space, spaces.Discrete):
            sizes, start = np.array([int(space.n)]), [space.start]
        elif isinstance(space, spaces.MultiDiscrete):
            sizes = np.asarray(space.nvec)
            start = getattr(space, "start", np.zeros_like(sizes))  # older spaces have none
        else:
            sizes, start = np.full(space.shape, 2), np.zeros(space.shape)
        self.space = space
        self.nvec = tuple(int(n) for n in sizes.ravel())
        self.num_choices = sum(self.nvec)
        self._scalar = isinstance(space, spaces.Discrete)
        self._shape = () if self._scalar else sizes.shape
        self._dtype: np.dtype[Any] = np.dtype(space.dtype)
        self._start = np.asarray(start).astype(self._dtype).ravel()
        self._ends = np.cumsum(self.nvec)[:-1]
        # NumPy's numbers take long to make, and cannot be changed.
        first = int(self._start[0]) if self._scalar else 0
        self._known = [
            self._dtype.type(first + choice)
            for choice in range(min(self.num_choices, MOST_KNOWN) if self._scalar else 0)
        ]

    def decode(self, components: NDArray[np.integer] | Sequence[int]) -> Any:
        """Turn choices ``[C]`` into an action that the space contains, of its own type."""
        if self._scalar:
            choice = components[0]
            if 0 <= choice < len(self._known):
                return self._known[choice]
            return self._dtype.type(self._start[0] + int(choice))
        values = np.asarray(components).astype(self._dtype) + self._start
        return values.astype(self._dtype).reshape(self._shape)

    def encode(self, action: Any) -> NDArray[np.int32]:
        """Turn an action of the space into choices, int32 ``[C]``."""
        choices: NDArray[np.int32] = (np.asarray(action).ravel() - self._start).astype(np.int32)
        return choices

    def read_mask(self, mask: Any, out: NDArray[np.bool_]) -> None:
        """Copy a mask, an array or (nested) list, to bool ``[num_choices]``.

        Raises
        ------
        BadValue
            It has another length, or leaves a component no choice.
        """
        if type(mask) is np.ndarray and mask.shape == out.shape and mask.dtype.kind in "biuf":
            out[:] = mask
            return
        try:
            if isinstance(mask, (list, tuple)) and any(np.ndim(part) for part in mask):
                given = np.concatenate([np.ravel(part) for part in mask])
            else:
                given = np.ravel(mask)
        except ValueError:  # lists of unequal lengths
            given = np.array(["none"])
        if given.dtype.kind not in "biuf":
            raise BadValue(
                f"an action mask that is no array of 0 and 1 ({type(mask).__name__}): "
                f"{shortened(printable(repr(mask)))}"
            )
        if given.shape != out.shape:
            raise BadValue(f"an action mask of {given.size} entries for {out.size} choices")
        out[:] = given.astype(np.bool_)

    def check_mask(self, mask: NDArray[np.bool_]) -> None:
        """Raise BadValue where a mask leaves a component no choice."""
        parts = [mask] if len(self.nvec) == 1 else np.split(mask, self._ends)
        for component, part in enumerate(parts):
            if not np.count_nonzero(part):
                where = "" if len(self.nvec) == 1 else f" in component {component}"
                raise BadValue(f"an action mask of zeros{where}, which allows no action")


@dataclass(frozen=True)
class BoxActions:
    """A continuous (or integer) Box as a row of D floats, in C order.

    Attributes
    ----------
    low, high
        float64 ``[D]``, infinite where there is no bound.
    shape, dtype
        Of an action.
    """

    space: spaces.Box

    nvec = ()
    num_choices = 0

    @property
    def low(self) -> NDArray[np.float64]:
        """The lower bounds, float64 ``[D]``."""
        return self.space.low.astype(np.float64).ravel()

    @property
    def high(self) -> NDArray[np.float64]:
        """The upper bounds, float64 ``[D]``."""
        return self.space.high.astype(np.float64).ravel()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an action."""
        return self.space.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of an action's numbers."""
        return np.dtype(self.space.dtype)

    def decode(self, row: NDArray[np.floating]) -> Any:
        """Clip a finite row, float32 ``[D]``, into the bounds, as an action of the space.

        Rows for integers are rounded.
        """
        values = np.asarray(row, np.float64).reshape(self.shape)
        if self.dtype.kind != "f":
            # Beyond 2^62 a float may round to what the integer type lacks.
            least, most = self.space.low.astype(np.float64), self.space.high.astype(np.float64)
            values = np.rint(values).clip(np.maximum(least, -(2.0**62)), np.minimum(most, 2.0**62))
        with np.errstate(over="ignore"):  # where there is no bound, infinity is inside
            given = values.astype(self.dtype)
        clipped = np.clip(given, self.space.low, self.space.high)
        return np.asarray(clipped, self.dtype)  # of no dimensions, NumPy makes a number of it


Actions = ChoiceActions | BoxActions


def actions(space: spaces.Space[Any], agent: object) -> Actions:
    """Read an action space.

    Raises
    ------
    UnsupportedSpace
        It is of another kind.
    """
    if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)):
        return ChoiceActions(space)
    if isinstance(space, spaces.Box) and np.dtype(space.dtype).kind in "fiu":
        return BoxActions(space)
    raise UnsupportedSpace(
        f"agent {agent} has the action space {space}; what can be trained are Discrete, "
        "MultiDiscrete, MultiBinary and Box: flatten it in a wrapper"
    )
