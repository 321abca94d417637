"""Updates of any number of agents, dealt into groups of a fixed size that threads share out.

How a processor adds up a matrix product depends on the product's shape and on the number of threads
that split it. So the groups, and not the threads, decide what is computed together: each is one
batch of :func:`group_size` agents (the last filled up with rows that learn nothing), computed by a
single thread from its start to its end. The result is then the same with any number of threads, and
however agents are dealt to learners. Nor need threads wait for each other, as those do that split
every product. torch computes without the GIL.

A GPU gets all agents as one batch: there, more in a batch is what makes it fast.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import numpy as np
import torch

from brigade.config import PPOConfig
from brigade.policy.network import Network
from brigade.ppo.agents import AgentStack, AgentState
from brigade.ppo.divergence import divergence
from brigade.ppo.rollout import Rollout
from brigade.ppo.update import Updater

BEAT_SECONDS = 0.05


class _Abandoned(Exception):
    """The update was given up in the thread that asked for it."""


@dataclass(frozen=True)
class Learned:
    """What an update made of one agent.

    ``diverged`` says what was not finite, and that the update was undone; "" where all is well.
    """

    state: AgentState
    metrics: dict[str, float]
    diverged: str = ""


class GroupedUpdater:
    """Learns from a rollout of each agent, with several threads.

    Parameters
    ----------
    networks
        Shape of each agent's network. Agents whose networks are of one shape are learned together.
    agents, states
        Agent numbers, and what each is like.
    threads
        Threads that share the groups of agents.

    Attributes
    ----------
    agents
        Agent numbers in the population.
    states
        What each agent is like now; these arrays are never changed.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        agents: Sequence[int],
        states: Sequence[AgentState],
        device: torch.device,
        config: PPOConfig,
        seed: int,
        threads: int,
    ) -> None:
        self.agents = list(agents)
        self.states = list(states)
        self._groups = []
        for network, rows in _alike(networks):
            size = group_size(network) if device.type == "cpu" else len(rows)
            for share in (rows[a : a + size] for a in range(0, len(rows), size)):
                mine = [self.agents[row] for row in share], [self.states[row] for row in share]
                self._groups.append(_Group(network, share, *mine, size, device, config, seed))
        if device.type == "cpu":
            torch.set_num_threads(1)
        count = max(1, min(threads, len(self._groups)))
        self._threads = ThreadPoolExecutor(count, "update", _as_in_main)

    @property
    def versions(self) -> list[int]:
        """The agents' newest versions."""
        return [state.version for state in self.states]

    def update(
        self,
        rollouts: Sequence[Rollout],
        progress: float = 0.0,
        *,
        recompute: bool | Sequence[bool] = False,
        meanwhile: Callable[[], None] = lambda: None,
        beat: float = BEAT_SECONDS,
    ) -> list[Learned]:
        """Learn from one rollout of each agent; see :meth:`Updater.update`.

        ``meanwhile`` is called in the calling thread, every ``beat`` seconds. What it raises ends
        the update in all threads, before it is raised here; then this must not be used any more.
        """
        given_up = threading.Event()

        def check() -> None:
            if given_up.is_set():
                raise _Abandoned

        again = [recompute] * len(rollouts) if isinstance(recompute, bool) else list(recompute)
        parts = [
            self._threads.submit(
                group.update,
                [rollouts[row] for row in group.rows],
                progress,
                [again[row] for row in group.rows],
                check,
            )
            for group in self._groups
        ]
        try:
            while wait(parts, beat).not_done:
                meanwhile()
        except BaseException:
            given_up.set()
            raise
        finally:
            for part in parts:
                part.cancel()  # what has not begun
            wait(parts)
        found: dict[int, Learned] = {}
        for group, part in zip(self._groups, parts, strict=True):
            found |= zip(group.rows, part.result(), strict=True)
        learned = [found[row] for row in range(len(self.agents))]
        self.states = [each.state for each in learned]
        return learned

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)


class _Group:
    """Agents that are computed together, as one batch of ``size``; ``rows`` are their places."""

    def __init__(
        self,
        network: Network,
        rows: Sequence[int],
        agents: Sequence[int],
        states: Sequence[AgentState],
        size: int,
        device: torch.device,
        config: PPOConfig,
        seed: int,
    ) -> None:
        self.rows = list(rows)
        self.states = list(states)
        missing = size - len(states)
        agents, states = [*agents, *[agents[0]] * missing], [*states, *[states[0]] * missing]
        stack = AgentStack(network, agents, states, device)
        self._updater = Updater(stack, config, seed)
        self._missing = missing

    def update(
        self,
        rollouts: Sequence[Rollout],
        progress: float,
        recompute: Sequence[bool],
        between_batches: Callable[[], None],
    ) -> list[Learned]:
        """Learn, and go back to the state before where an agent diverged."""
        nothing = [rollouts[0].empty()] * self._missing if self._missing else []
        # What becomes too large for a float is noticed at the end.
        with np.errstate(over="ignore", invalid="ignore"):
            metrics = self._updater.update(
                [*rollouts, *nothing],
                progress,
                recompute=[*recompute, *[False] * self._missing],
                between_batches=between_batches,
            )
        stack, learned = self._updater.stack, []
        for row, (before, state) in enumerate(zip(self.states, stack.states(), strict=False)):
            what = divergence(state, metrics[row], stack.network.num_weights)
            if what:
                state = replace(before, version=state.version, rollbacks=before.rollbacks + 1)
                self._updater.put(row, state)
            learned.append(Learned(state, metrics[row], what))
        self.states = [each.state for each in learned]
        return learned


def group_size(network: Network) -> int:
    """Agents that are computed as one batch on a CPU.

    Wide networks and those with pictures keep a thread busy by themselves; of narrow ones several
    share what each step costs beside its products. It must depend on nothing but the network.
    """
    if network.pictures:
        return 1
    return 4 if network.hidden_size < 256 else 1


def _alike(networks: Sequence[Network]) -> list[tuple[Network, list[int]]]:
    """Places of those that are of one shape, in the order in which the shapes first appear."""
    found: dict[Network, list[int]] = {}
    for row, network in enumerate(networks):
        found.setdefault(network, []).append(row)
    return list(found.items())


def _as_in_main() -> None:
    """Denormal numbers are slow to compute with, and each thread decides about them for itself."""
    torch.set_flush_denormal(True)
