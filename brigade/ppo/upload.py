"""Between the host and the learner's device: pinned memory, and beside what the device is doing.

A GPU copies from and to pinned (page-locked) memory without the processor's help, and on a stream
of its own while another computes. On the CPU nothing is copied.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the host, in its turn with what the device has been given to do."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def to_host(tensor: Tensor) -> NDArray[np.float32]:
    """Copy a float32 tensor of the device to the host, and wait for it."""
    if tensor.device.type != "cuda":
        return tensor.numpy().copy()
    host = torch.empty(tensor.shape, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return host.numpy()


@dataclass(frozen=True)
class Upload:
    """An array on its way to the device."""

    tensor: Tensor
    arrived: torch.cuda.Event | None

    def __len__(self) -> int:
        """Count its rows."""
        return len(self.tensor)

    def __getitem__(self, rows: slice) -> Upload:
        """Take some of its rows."""
        return Upload(self.tensor[rows], self.arrived)

    def wait(self) -> Tensor:
        """Let what the device is given from now on wait for the array, and return it."""
        if self.arrived is not None:
            current = torch.cuda.current_stream(self.tensor.device)
            current.wait_event(self.arrived)
            self.tensor.record_stream(current)  # its memory is not for others before that is done
        return self.tensor


class Uploader:
    """Begins uploads to one device, on a stream of their own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def begin(self, array: NDArray[np.float32] | NDArray[np.uint8]) -> Upload:
        """Begin to copy an array; it may be changed afterwards."""
        dtype = torch.uint8 if array.dtype == np.uint8 else torch.float32
        host = torch.empty(array.shape, dtype=dtype, pin_memory=self._stream is not None)
        host.numpy()[...] = array
        if self._stream is None:
            return Upload(host.to(self._device), None)
        with torch.cuda.stream(self._stream):
            tensor = host.to(self._device, non_blocking=True)
            return Upload(tensor, self._stream.record_event())
