"""Pictures as bytes: where their channels lie, how large they are kept, and in which colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

LARGEST_SIDE = 96  # pictures that are larger are shrunk, unless a size is given
SHRUNK_SIDE = 84  # to this
LUMA = np.array([299, 587, 114], np.uint32)  # thousandths of red, green and blue (ITU-R BT.601)

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """How pictures are kept.

    Attributes
    ----------
    resize
        Height and width of all; or one number, to which the longer side of larger ones is shrunk;
        or nothing: pictures with a side over 96 are then shrunk to 84.
    grey
        Whether pictures of three channels are kept as their luma.
    """

    resize: tuple[int, ...] = ()
    grey: bool = False


class Picture:
    """Turns pictures of one shape into bytes.

    Parameters
    ----------
    given
        Their shape, of two or three dimensions. Of three, channels are the last or the first,
        whichever is fewer.
    look
        How they are kept.

    Attributes
    ----------
    shape
        Height, width and channels of what is kept.
    """

    def __init__(self, given: tuple[int, ...], look: Look) -> None:
        self._first = len(given) == 3 and given[0] < given[2]  # channels first
        height, width, channels = _height_width_channels(given, self._first)
        size = _size(height, width, look)
        self._grey = look.grey and channels == 3
        self.shape: Shape = (*size, 1 if self._grey else channels)
        self._given = height, width, channels
        self._resized = size != (height, width)

    @property
    def num_bytes(self) -> int:
        """Bytes of a picture as it is kept."""
        height, width, channels = self.shape
        return height * width * channels

    def write(self, picture: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        """Write a picture of the given shape to a row of bytes: row by row, channels together."""
        picture = picture.reshape(self._given[2:] + self._given[:2] if self._first else self._given)
        if self._first:
            picture = picture.transpose(1, 2, 0)
        if self._resized:
            picture = self._resize(picture)
        if self._grey:
            picture = ((picture @ LUMA + 500) // 1000).astype(np.uint8)
        out.reshape(self.shape)[...] = picture.reshape(self.shape)

    def _resize(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Average over the area that each new pixel covers, in whole numbers."""
        area = picture.shape[0] * picture.shape[1]
        dtype = np.uint32 if 256 * area < 1 << 32 else np.uint64
        sums = _sums(_sums(picture, 0, self.shape[0], dtype), 1, self.shape[1], dtype)
        resized: NDArray[np.uint8] = ((sums + area // 2) // area).astype(np.uint8)
        return resized


def _height_width_channels(given: tuple[int, ...], first: bool) -> Shape:
    if len(given) == 2:
        return given[0], given[1], 1
    return (given[1], given[2], given[0]) if first else (given[0], given[1], given[2])


def _size(height: int, width: int, look: Look) -> tuple[int, int]:
    """Height and width to keep."""
    if len(look.resize) == 2:
        return look.resize[0], look.resize[1]
    longest = max(height, width)
    wanted = look.resize[0] if look.resize else SHRUNK_SIDE
    if longest <= (wanted if look.resize else LARGEST_SIDE):
        return height, width
    new_height, new_width = (
        max(1, (2 * side * wanted + longest) // (2 * longest)) for side in (height, width)
    )
    return new_height, new_width


def _sums(array: NDArray[Any], axis: int, count: int, dtype: DTypeLike) -> NDArray[Any]:
    """Divide an axis of n entries into ``count`` parts, and sum each, in units of 1 / ``count``.

    An entry that lies in several parts counts for each in proportion.
    """
    length = array.shape[axis]
    ends, rest = np.divmod(np.arange(1, count) * length, count)
    # Up to each end: whole entries, and of the next one a part.
    whole = np.take(np.cumsum(array, axis, dtype), ends, axis)
    part = np.take(array, ends, axis).astype(dtype)
    by_axis = [1] * array.ndim
    by_axis[axis] = -1
    # What is cumulated has the next entry in it.
    rest = (count - rest).astype(dtype).reshape(by_axis)
    total = array.sum(axis, dtype, keepdims=True) * np.array(count, dtype)
    until = whole * np.array(count, dtype) - part * rest
    return np.diff(until, axis=axis, prepend=np.zeros_like(total), append=total)


def as_bytes(given: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Take whole numbers from 0 to 255 as bytes; None where they are something else."""
    if given.dtype == np.uint8:
        return given
    with np.errstate(invalid="ignore"):  # of what is not finite, and differs afterwards
        taken = given.astype(np.uint8)
    return taken if np.array_equal(taken, given) else None
