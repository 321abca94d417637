"""The pictures of K agents' steps, which stay where they are until a batch needs some of them.

They are by far the largest part of a rollout: on a processor, a batch copies its rows out of the
memory in which they arrived.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from brigade.ppo.upload import Upload, to_device


class PictureRows:
    """Rows of bytes, each agent's own.

    Parameters
    ----------
    rows
        Of each of K agents, uint8 ``[n_k, P]``; on the device already, or not.
    device
        Where they are wanted.
    """

    def __init__(self, rows: Sequence[NDArray[np.uint8] | Upload], device: torch.device) -> None:
        self._here: list[NDArray[np.uint8]] = []
        self._there: list[Tensor] = []
        for each in rows:
            if isinstance(each, Upload):
                self._there.append(each.wait())
            elif device.type == "cpu":
                self._here.append(each)
            else:
                self._there.append(to_device(torch.from_numpy(each.copy()), device))

    def copy(self, which: slice, out: Tensor) -> None:
        """Copy rows, as far as each agent has them, to the beginning of ``out`` ``[K, R, P]``."""
        for array, to in zip(self._here, out.numpy() if self._here else (), strict=True):
            part = array[which]
            to[: len(part)] = part
        for tensor, into in zip(self._there, out if self._there else (), strict=True):
            rows = tensor[which]
            into[: len(rows)] = rows

    def gather(self, which: Tensor, out: Tensor) -> None:
        """Copy rows ``[K, B]`` of each agent to ``out`` ``[K, B, P]``; none of who has none."""
        for k, array in enumerate(self._here):
            if len(array):
                np.take(array, which[k].numpy(), axis=0, out=out[k].numpy(), mode="clip")
        for k, tensor in enumerate(self._there):
            if len(tensor):
                torch.index_select(tensor, 0, which[k], out=out[k])
