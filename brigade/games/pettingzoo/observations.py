"""Observations of any space as one row of floats, pictures apart, and the mask among them.

A row has the parts of the space one after another: Dict in the order of the space's own keys, Tuple
in its order, and within each part C order. Box and MultiBinary give their numbers as they are;
Discrete and each entry of MultiDiscrete become one-hot, of which entry i stands for ``start + i``.
Pictures among the parts make a row of bytes of their own, one picture after another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from brigade.games.pettingzoo.errors import BadValue, UnsupportedSpace
from brigade.games.pettingzoo.pictures import Look, Picture, as_bytes
from brigade.printable import printable, shortened

MASK = "action_mask"  # the key, in observations or infos
PICTURE_SIDE = 16  # uint8 arrays with two sides of at least this are pictures
Path = tuple[str | int, ...]
NO_BYTES = np.zeros(0, np.uint8)


class Observations:
    """Writes the observations of one agent's space into rows.

    Parameters
    ----------
    space
        The agent's space.
    agent
        Whose it is, for messages.
    masked_actions
        Whether the action space can have a mask. If so, an ``action_mask`` in a Dict is taken out;
        else it is a part like any other.
    look
        How pictures are kept.

    Attributes
    ----------
    num_features
        Length F of a row.
    pictures
        Height, width and channels of each picture, as it is kept.
    num_picture_bytes
        Length P of a row of all pictures.
    has_mask
        Whether the space has a mask, so that every observation has one.
    normalised
        The columns, ascending, that a policy should keep running statistics of: the numbers of Box
        parts that are not bounded within [-1, 1].

    Raises
    ------
    UnsupportedSpace
        There are no rows for it.
    """

    def __init__(
        self,
        space: spaces.Space[Any],
        agent: object,
        *,
        masked_actions: bool = True,
        look: Look | None = None,
    ) -> None:
        self.has_mask = masked_actions and isinstance(space, spaces.Dict) and MASK in space.spaces
        leaves = [
            (path, leaf)
            for path, leaf in _leaves(space, ())
            if not (self.has_mask and path == (MASK,))
        ]
        self._parts = [_part(path, leaf, agent) for path, leaf in leaves if not is_picture(leaf)]
        self._pictures: list[tuple[_PicturePart, slice]] = []
        self.num_picture_bytes = 0
        for path, leaf in leaves:
            if is_picture(leaf):
                shape = tuple(leaf.shape or ())
                part = _PicturePart(path, shape, Picture(shape, look or Look()))
                start = self.num_picture_bytes
                self.num_picture_bytes += part.picture.num_bytes
                self._pictures.append((part, slice(start, self.num_picture_bytes)))
        self.pictures = tuple(part.picture.shape for part, _ in self._pictures)
        sizes = [part.size for part in self._parts]
        self._ends = np.cumsum(sizes, dtype=int).tolist()
        columns = [slice(end - size, end) for end, size in zip(self._ends, sizes, strict=True)]
        self._columns = list(zip(self._parts, columns, strict=True))
        self.num_features = sum(sizes)
        unbounded = [flag for part in self._parts for flag in part.unbounded]
        self.normalised = tuple(column for column, flag in enumerate(unbounded) if flag)
        if not self.num_features and not self.pictures:
            raise UnsupportedSpace(f"agent {agent} observes nothing: its space is {space}")

    def write(
        self, observation: Any, out: NDArray[np.float32], pictures: NDArray[np.uint8] = NO_BYTES
    ) -> None:
        """Copy an observation to a row, float32 ``[F]``, and its pictures to bytes, uint8 ``[P]``.

        Raises
        ------
        BadValue
            It is not of the space: its shape, its type, a value that is not finite as float32 or
            outside a Discrete part. Bounds of a Box are not looked at.
        """
        for part, columns in self._columns:
            value = _at(observation, part.path) if part.path else observation
            part.write(value, out[columns])
        for picture, where in self._pictures:
            value = _at(observation, picture.path) if picture.path else observation
            picture.write(value, pictures[where])
        if not _all_finite(out):
            self._name_infinite(observation, out)

    def write_all(self, observations: Sequence[Any], out: NDArray[np.float32]) -> bool:
        """Copy one observation of each agent of a role to rows, float32 ``[S, F]``, at once.

        Returns
        -------
        Whether that could be done, as it can with valid arrays of one type. If not, the rows are
        undefined, and :meth:`write` writes each or tells what is wrong with it.
        """
        if len(self._parts) != 1 or self._pictures:
            return False
        part = self._parts[0]
        if part.path or not part.shape or isinstance(part, _OneHot):
            return False
        shape, dtype = part.shape, getattr(observations[0], "dtype", None)
        for each in observations:
            if type(each) is not np.ndarray or each.dtype is not dtype or each.shape != shape:
                return False
        if dtype is None or dtype.kind not in ("biu" if part.whole else "biuf"):
            return False
        together = out.reshape(-1, *shape[1:])
        if dtype == np.float32 or dtype.kind != "f":
            np.concatenate(observations, out=together)
        else:
            with np.errstate(over="ignore"):  # infinity is looked for afterwards
                np.concatenate(observations, out=together)
        return dtype.kind != "f" or _all_finite(out)

    def mask(self, observation: Any) -> Any:
        """Give the mask in an observation; None where the space has none."""
        return _at(observation, (MASK,)) if self.has_mask else None

    def _name_infinite(self, observation: Any, out: NDArray[np.float32]) -> None:
        index = int(np.flatnonzero(~np.isfinite(out))[0])
        number = int(np.searchsorted(self._ends, index, side="right"))
        part = self._parts[number]
        inside = index - (self._ends[number] - part.size)
        value = np.ravel(_at(observation, part.path))[inside]
        raise BadValue(f"{part.called} holds {value} (entry {inside} of {part.size})")


# ---- walking through a space -------------------------------------------------------------


def _leaves(space: spaces.Space[Any], path: Path) -> Iterator[tuple[Path, spaces.Space[Any]]]:
    if isinstance(space, spaces.Dict):
        for key, inner in space.spaces.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(space, spaces.Tuple):
        for index, inner in enumerate(space.spaces):
            yield from _leaves(inner, (*path, index))
    else:
        yield path, space


def _at(observation: Any, path: Path) -> Any:
    for depth, key in enumerate(path):
        try:
            observation = observation[key]
        except (KeyError, IndexError, TypeError):
            inside = _called(path[:depth])
            if isinstance(observation, Mapping):
                found = f"has the keys {', '.join(map(str, observation))}"
            else:
                found = f"is {_kind(observation)}"
            raise BadValue(f"{inside} lacks {key!r}: it {found}") from None
    return observation


def _called(path: Path) -> str:
    return "an observation" + "".join(f"[{key!r}]" for key in path)


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} {list(value.shape)}"
    return f"{shortened(printable(repr(value)))} ({type(value).__name__})"


def _part(path: Path, space: spaces.Space[Any], agent: object) -> _Part:
    where = f"agent {agent}" + (f", {_called(path)}" if path else "")
    if isinstance(space, spaces.Discrete):
        return _OneHot(path, (), np.array([space.n]), np.array([space.start]))
    if isinstance(space, spaces.MultiDiscrete):
        sizes = np.asarray(space.nvec)
        start = np.asarray(getattr(space, "start", np.zeros_like(sizes)))
        return _OneHot(path, sizes.shape, sizes.ravel(), start.ravel())
    if isinstance(space, spaces.MultiBinary):
        size = int(np.prod(space.shape))
        return _Numbers(path, space.shape, size, whole=True, unbounded=(False,) * size)
    if isinstance(space, spaces.Box):
        kind = np.dtype(space.dtype).kind
        if kind in "biuf":
            size = int(np.prod(space.shape))
            outside = (space.low < -1) | (space.high > 1)
            unbounded = tuple(outside.ravel().tolist())
            return _Numbers(path, space.shape, size, whole=kind != "f", unbounded=unbounded)
    raise UnsupportedSpace(
        f"{where}: there are no rows for the observation space {space}; what can be trained on are "
        "Box, Discrete, MultiDiscrete, MultiBinary, Dict and Tuple"
    )


def is_picture(space: spaces.Space[Any]) -> bool:
    """Tell a picture: uint8, of two or three dimensions, two sides of at least 16."""
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) in (2, 3)
        and sum(side >= PICTURE_SIDE for side in space.shape) >= 2
    )


# ---- parts -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Numbers:
    """Numbers as they are."""

    path: Path
    shape: tuple[int, ...]
    size: int
    whole: bool  # whether they must be whole
    unbounded: tuple[bool, ...]  # of each, whether it may lie outside [-1, 1]

    @property
    def called(self) -> str:
        return _called(self.path)

    def write(self, value: Any, out: NDArray[np.float32]) -> None:
        given = _array(value, self.path)
        if given.shape != self.shape:
            raise BadValue(
                f"{self.called} has the shape {list(given.shape)}, not {list(self.shape)}"
            )
        if self.whole:
            _check_whole(given, self.path)
        if given.dtype == np.float32 or given.dtype.kind != "f":
            out[:] = given.ravel()
        else:
            with np.errstate(over="ignore"):  # infinity is looked for afterwards
                out[:] = given.ravel()


@dataclass(frozen=True)
class _OneHot:
    """Numbers of choices as one-hots."""

    path: Path
    shape: tuple[int, ...]
    sizes: NDArray[np.integer]
    start: NDArray[np.integer]

    @property
    def called(self) -> str:
        return _called(self.path)

    @property
    def size(self) -> int:
        return int(self.sizes.sum())

    @property
    def unbounded(self) -> tuple[bool, ...]:
        return (False,) * self.size

    def write(self, value: Any, out: NDArray[np.float32]) -> None:
        given = _array(value, self.path)
        # Some give an array of one number where the space says a number.
        if given.shape != self.shape and not (self.shape == () and given.size == 1):
            raise BadValue(
                f"{self.called} has the shape {list(given.shape)}, not {list(self.shape)}"
            )
        _check_whole(given, self.path)
        choices = given.ravel().astype(np.int64) - self.start
        outside = (choices < 0) | (choices >= self.sizes)
        if outside.any():
            entry = int(np.flatnonzero(outside)[0])
            first = int(self.start[entry])
            raise BadValue(
                f"{self.called} holds {given.ravel()[entry]}, outside its space of {first} to "
                f"{first + int(self.sizes[entry]) - 1}"
            )
        out[:] = 0
        out[np.cumsum(self.sizes) - self.sizes + choices] = 1


_Part = _Numbers | _OneHot


@dataclass(frozen=True)
class _PicturePart:
    """A picture, in bytes."""

    path: Path
    shape: tuple[int, ...]
    picture: Picture

    def write(self, value: Any, out: NDArray[np.uint8]) -> None:
        given = _array(value, self.path)
        if given.shape != self.shape:
            raise BadValue(
                f"{_called(self.path)} has the shape {list(given.shape)}, not {list(self.shape)}"
            )
        taken = as_bytes(given)
        if taken is None:
            raise BadValue(
                f"{_called(self.path)} holds other numbers than the whole ones from 0 to 255 that "
                "pictures consist of"
            )
        self.picture.write(taken, out)


def _array(value: Any, path: Path) -> NDArray[Any]:
    try:
        given = np.asarray(value)
    except ValueError:  # lists of unequal lengths
        raise BadValue(f"{_called(path)} is {_kind(value)}, not an array") from None
    if given.dtype.kind not in "biuf":
        raise BadValue(f"{_called(path)} is {_kind(value)}, not numbers")
    return given


def _all_finite(rows: NDArray[np.float32]) -> bool:
    return int(np.count_nonzero(np.isfinite(rows))) == rows.size  # of few, faster than all()


def _check_whole(given: NDArray[Any], path: Path) -> None:
    """Raise BadValue where floats of a space of integers are not whole."""
    if given.dtype.kind == "f":
        partial = given != np.rint(given)  # also NaN
        if partial.any():
            value = given[partial].ravel()[0]
            raise BadValue(f"{_called(path)} holds {value}, in a space of whole numbers")
