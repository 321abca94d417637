"""A step of many small GPU kernels, recorded once and then given to the GPU as one order.

A gradient batch is some hundred kernels, and a GPU is through with most of them sooner than Python
has ordered the next. CUDA graphs keep the order that was once given.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# What the libraries behind torch set up at their first calls cannot be recorded.
CALLS_BEFORE = 2


class Recording:
    """Calls ``step``; on a GPU, after a few calls, replays its kernels instead.

    Parameters
    ----------
    step
        Works on the same tensors, of the same shapes, at every call; what differs from call to call
        it reads from them. What it returns lies in the same place at every call.
    """

    def __init__(self, step: Callable[[], Tensor], device: torch.device) -> None:
        self._step = step
        self._device = device
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result = torch.empty(0)

    def __call__(self) -> Tensor:
        """Do the step once."""
        if self._device.type != "cuda":
            return self._step()
        self._calls += 1
        if self._calls <= CALLS_BEFORE:
            return self._step()
        if self._graph is None:
            self._graph = self._record()
        self._graph.replay()
        return self._result

    def _record(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on with the GPU meanwhile.
        mode = "thread_local"
        with torch.cuda.device(self._device), torch.cuda.graph(graph, capture_error_mode=mode):
            self._result = self._step()
        return graph
