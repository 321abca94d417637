"""An update whose agents are shared out among threads.

Agents learn apart from one another, so that threads which each take some agents from start to end
need not wait for each other, where threads that split every matrix product wait after each. torch
computes without the GIL.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise

import torch

from brigade.config import PPOConfig
from brigade.ppo.agents import AgentStack
from brigade.ppo.update import Rollout, Updater

BEAT_SECONDS = 0.1


class _Abandoned(Exception):
    """The update was given up in the thread that asked for it."""


class ParallelUpdater:
    """Updates a stack of agents as :class:`Updater` does, with several threads.

    Parameters
    ----------
    threads
        So many; where there are fewer agents, torch's own threads share the work of each. (That
        setting, ``torch.set_num_threads``, is the whole process's.) On a GPU one is best.
    """

    def __init__(self, stack: AgentStack, config: PPOConfig, seed: int, threads: int) -> None:
        self.stack = stack
        count = max(1, min(threads, len(stack.agents)))
        bounds = [len(stack.agents) * i // count for i in range(count + 1)]
        self._shares = [slice(a, b) for a, b in pairwise(bounds)]
        self._updaters = [Updater(stack.part(share), config, seed) for share in self._shares]
        torch.set_num_threads(max(1, round(threads / count)))
        self._threads = ThreadPoolExecutor(max(1, count - 1), "update", _as_in_main)

    def update(
        self,
        rollouts: Sequence[Rollout],
        progress: float = 0.0,
        *,
        refresh: bool | Sequence[bool] = False,
        between_batches: Callable[[], None] = lambda: None,
    ) -> list[dict[str, float]]:
        """Learn from one rollout of each agent; see :meth:`Updater.update`.

        ``between_batches`` is called in the calling thread only. What it raises ends the update in
        all threads, before it is raised here.
        """
        given_up = threading.Event()

        def check() -> None:
            if given_up.is_set():
                raise _Abandoned

        def work(number: int, between: Callable[[], None]) -> list[dict[str, float]]:
            share = self._shares[number]
            again = refresh if isinstance(refresh, bool) else refresh[share]
            return self._updaters[number].update(
                rollouts[share], progress, refresh=again, between_batches=between
            )

        others = [
            self._threads.submit(work, number, check) for number in range(1, len(self._shares))
        ]
        try:
            metrics = work(0, between_batches)
            while wait(others, BEAT_SECONDS).not_done:
                between_batches()
        except BaseException:
            given_up.set()
            raise
        finally:
            wait(others)
        for other in others:
            metrics += other.result()
        for share, updater in zip(self._shares, self._updaters, strict=True):
            self.stack.take_over(share, updater.stack)
        return metrics


def _as_in_main() -> None:
    """Denormal numbers are slow to compute with, and each thread decides about them for itself."""
    torch.set_flush_denormal(True)
