"""Threads that share out agents: each takes some from start to end.

Nothing passes between agents, so such threads need not wait for each other, where threads that
split every matrix product wait after each. torch computes without the GIL.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import torch


def shares(agents: int, threads: int) -> list[slice]:
    """Deal agents to threads, neighbours together, none of which is without any.

    Where there are more threads than agents, torch's own share the work of each agent. (That
    setting, ``torch.set_num_threads``, is the whole process's.)
    """
    count = max(1, min(threads, agents))
    torch.set_num_threads(max(1, round(threads / count)))
    return [slice(a, b) for a, b in pairwise(agents * i // count for i in range(count + 1))]


def helpers(count: int, name: str) -> ThreadPoolExecutor:
    """Make threads, at least one, that compute beside the one that asks."""
    return ThreadPoolExecutor(max(1, count), name, _as_in_main)


def _as_in_main() -> None:
    """Denormal numbers are slow to compute with, and each thread decides about them for itself."""
    torch.set_flush_denormal(True)
