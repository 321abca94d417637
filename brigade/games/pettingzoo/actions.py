"""Actions as numbers of choices or as rows of floats, and back into what a space contains."""

from __future__ import annotations

from collections.abc import Sequence
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

    num_continuous = 0

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


class BoxActions:
    """A continuous (or integer) Box as a row of D floats, in C order.

    A number with two bounds goes from -1 to 1 in the row, which is the whole way from the one to
    the other; any other is in the row as it is.

    Attributes
    ----------
    num_continuous
        Numbers of an action, D.
    low, high
        float64 ``[D]``, infinite where there is no bound.
    shape, dtype
        Of an action.
    """

    nvec = ()
    num_choices = 0

    def __init__(self, space: spaces.Box):
        self.space = space
        self.shape = space.shape
        self.dtype: np.dtype[Any] = np.dtype(space.dtype)
        self.low, self.high = (
            bound.astype(np.float64).ravel() for bound in (space.low, space.high)
        )
        self.num_continuous = self.low.size
        bounded = space.bounded_below.ravel() & space.bounded_above.ravel()
        if self.dtype.kind == "f":
            # The largest number of its type, as a bound, is how some write that there is none.
            largest = np.finfo(self.dtype).max
            bounded &= (self.low > -largest) & (self.high < largest)
        self._bounded = bounded
        self._least, self._most = self.low[bounded], self.high[bounded]

    def decode(self, row: NDArray[np.floating]) -> Any:
        """Turn a finite row, float32 ``[D]``, into an action of the space, clipped to its bounds.

        Rows for integers are rounded.
        """
        values = np.array(row, np.float64)
        share = (values[self._bounded].clip(-1, 1) + 1) / 2
        values[self._bounded] = (1 - share) * self._least + share * self._most
        if self.dtype.kind != "f":
            # The ends of an integer type of 64 bits may not be floats: go no further than those.
            ends = np.iinfo(self.dtype)
            most = np.nextafter(float(ends.max), 0) if ends.bits == 64 else ends.max
            values = np.rint(values).clip(ends.min, most)
        with np.errstate(over="ignore"):  # where there is no bound, infinity is inside
            given = values.astype(self.dtype).reshape(self.shape)
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
    if isinstance(space, spaces.Box) and np.dtype(space.dtype).kind in "fiu" and space.low.size:
        return BoxActions(space)
    raise UnsupportedSpace(
        f"agent {agent} has the action space {space}; what can be trained are Discrete, "
        "MultiDiscrete, MultiBinary and Box: flatten it in a wrapper"
    )
