"""Reading experience messages, and keeping them in order until they are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import lt

import numpy as np

from brigade.policy.network import Network
from brigade.ppo.rollout import Per, Rollout, columns_for
from brigade.wire.messages import Array, Arrays, BadMessage, Experience, Message, require


@dataclass(frozen=True)
class Received:
    """One agent's part of one rollout, checked."""

    rollout: Rollout
    policy_versions: list[int]  # of the fragments, without repetition
    progress: float


def read_experience(
    header: Message,
    arrays: Arrays,
    run: str,
    networks: Mapping[int, Network],
    advantages: str,
) -> tuple[Experience, Received]:
    """Check an experience message and read it; its arrays share the message's memory.

    ``networks`` are those of the agents that it may be of. ``advantages`` is the run's setting,
    which decides what columns there are.

    Raises
    ------
    BadMessage
        It is something else, of another run, or its arrays do not fit together.
    """
    if not isinstance(header, Experience) or header.run != run:
        raise BadMessage(f"{type(header).__name__} is not experience of run {run}")
    network = networks.get(header.agent)
    if network is None:
        raise BadMessage(f"experience of agent {header.agent}, which is another learner's")
    transitions = arrays["rewards"].size if "rewards" in arrays else 0
    fragments = arrays["lengths"].size if "lengths" in arrays else 0
    rows = {Per.STEP: transitions, Per.FRAGMENT: fragments}
    columns = columns_for(advantages, masked=network.masked, pictures=bool(network.pictures))
    wide, choices = network.num_features, network.action_nvec
    more = network.num_continuous, network.num_picture_bytes
    # Whole numbers or floats, as the policy has it; the messages' reader saw that these are finite.
    dtypes = "f4" if network.num_continuous else "u1|i4"
    columns["actions"] = replace(columns["actions"], dtypes=dtypes)
    require(
        arrays,
        {
            name: (column.dtypes, (rows.get(column.per), *column.shape(wide, choices, *more)))
            for name, column in columns.items()
        },
    )
    lengths, terminated = arrays["lengths"], arrays["terminated"]
    if (fragments and int(lengths.min()) < 1) or int(lengths.sum()) != transitions:
        raise BadMessage(f"fragments of {int(lengths.sum())} steps for {transitions} transitions")
    for name in ("bootstrap_observations", "bootstrap_pictures"):
        if name in columns and len(arrays[name]) != fragments - int(terminated.sum()):
            raise BadMessage(f"{name} of another number of fragments")
    if "changed" in columns:
        differing = int((arrays["changed"] & ~arrays["default_terminated"]).sum())
        if len(arrays["default_observations"]) != differing:
            raise BadMessage("default observations for another number of steps")
    if bool((terminated & arrays["truncated"]).any()):
        raise BadMessage("a fragment both terminated and truncated")
    actions = arrays["actions"]
    if (transitions and network.action_nvec) and not (
        actions.min() >= 0
        and all(map(lt, (column.max() for column in actions.T), network.action_nvec))
    ):
        raise BadMessage("an action that does not exist")
    if network.masked and not _are_open(actions, arrays["action_mask"], network.action_nvec):
        raise BadMessage("an action that was not open")
    versions = sorted(set(arrays["policy_versions"].tolist()))
    return header, Received(Rollout.of(arrays), versions, header.progress)


def _are_open(actions: Array, mask: Array, nvec: Sequence[int]) -> bool:
    """Whether the actions ``[n, C]`` are among the choices that the mask ``[n, L]`` leaves."""
    columns = actions.astype(np.int64) + np.cumsum([0, *nvec[:-1]])
    return bool(np.take_along_axis(mask, columns, 1).all())


class Inbox:
    """Experience that waits for its turn: each agent uses its rollouts in order, each once."""

    def __init__(self, agents: list[int], next_sequence: list[int], most_waiting: int) -> None:
        self._next = dict(zip(agents, next_sequence, strict=True))
        self._waiting: dict[int, dict[int, Received]] = {agent: {} for agent in agents}
        self._most_waiting = most_waiting

    def add(self, agent: int, sequence: int, received: Received) -> bool:
        """Keep a rollout; False where it was used or received before.

        Raises
        ------
        BadMessage
            The agent is not this learner's, or the rollout lies too far ahead.
        """
        if agent not in self._next:
            raise BadMessage(f"experience of agent {agent}, which is another learner's")
        if sequence >= self._next[agent] + self._most_waiting:
            raise BadMessage(f"rollout {sequence} of agent {agent} before {self._next[agent]}")
        if sequence < self._next[agent] or sequence in self._waiting[agent]:
            return False
        self._waiting[agent][sequence] = received
        return True

    @property
    def ready(self) -> bool:
        """Whether every agent's next rollout is here."""
        return all(self._next[agent] in waiting for agent, waiting in self._waiting.items())

    def take(self) -> list[Received]:
        """Take every agent's next rollout out, in the order of the agents."""
        taken = []
        for agent, waiting in self._waiting.items():
            taken.append(waiting.pop(self._next[agent]))
            self._next[agent] += 1
        return taken
