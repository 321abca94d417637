"""Adam over the rows of a stack, each with its own count of steps.

Source: Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization". The arithmetic is torch's
fused kernel, called as a function: the moments are the stack's own tensors, which messages and
checkpoints carry, and ``torch.optim.Adam`` would load torch's compiler, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

from brigade.ppo.agents import AgentStack


class Adam:
    """Steps the rows of ``stack.parameters`` along gradient rows ``[K, D]``, in place."""

    def __init__(self, stack: AgentStack, gradients: Tensor) -> None:
        steps = [torch.tensor(float(count), device=stack.device) for count in stack.steps]
        self.steps = steps  # of each row, as the kernel counts them
        tensors = (stack.parameters, gradients, stack.first_moment, stack.second_moment)
        self._rows = list(zip(*(tensor.unbind(0) for tensor in tensors), steps, strict=True))

    def step(self, live: Sequence[bool], learning_rate: float | Tensor) -> None:
        """Take one step with each agent that is live; the others stay as they are.

        ``learning_rate`` may be a float32 tensor without axes on the stack's device.
        """
        rows = [row for row, alive in zip(self._rows, live, strict=True) if alive]
        parameters, gradients, first, second, steps = (
            list(column) for column in zip(*rows, strict=True)
        )
        adam(
            parameters,
            gradients,
            first,
            second,
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )
