"""A step of many small GPU kernels, recorded once and then given to the GPU as one order.

A gradient batch is some hundred kernels, and a GPU is through with most of them sooner than Python
has ordered the next. CUDA graphs keep the order that was once given.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# What the libraries behind torch set up when they are first called cannot be recorded.
TIMES_BEFORE = 2


class CudaGraph:
    """Does a step; on a GPU, after a few times, replays its kernels instead.

    The step works on the same tensors, of the same shapes, every time; what differs from one time
    to the next it reads from them. What it returns lies in the same place every time.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._times = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result = torch.empty(0)

    def do(self, step: Callable[[], Tensor]) -> Tensor:
        """Do the step once; it is always the same one."""
        if self._device.type != "cuda":
            return step()
        self._times += 1
        if self._times <= TIMES_BEFORE:
            return step()
        if self._graph is None:
            self._graph = self._record(step)
        self._graph.replay()
        return self._result

    def _record(self, step: Callable[[], Tensor]) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on with the GPU meanwhile.
        mode = "thread_local"
        with torch.cuda.device(self._device), torch.cuda.graph(graph, capture_error_mode=mode):
            self._result = step()
        return graph
