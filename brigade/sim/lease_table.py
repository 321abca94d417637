"""The lease table: which learner has which agents. Pure; times are arguments."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from brigade.agent_numbers import format_agents, parse_wanted

# A learner that was slow may still connect to the slot that it was once told of, for so long.
SLOT_REST_SECONDS = 60.0


@dataclass
class Lease:
    """A learner's right to a number of agents, kept by staying in touch."""

    peer: bytes  # the learner's identity on the control socket
    name: str
    device: str
    agents: tuple[int, ...]
    slot: int
    generation: int  # tells this lease's experience from that of others that had the slot
    last_seen: float  # seconds on a monotonic clock
    fencing_token: str = field(default="", repr=False)  # what its weights are known by
    key: str = ""  # its public key, where there are keys
    welcomed: bool = False  # it has been heard since its welcome, so it has that


class Refused(ValueError):
    """A learner cannot have what it asks for.

    ``final`` where asking again will not help; ``taken`` where others have the agents.
    """

    def __init__(self, reason: str, *, final: bool = True, taken: bool = False) -> None:
        super().__init__(reason)
        self.final = final and not taken
        self.taken = taken


class Slots:
    """Numbers of experience sockets, the lowest first; none comes back soon after it was let go.

    Parameters
    ----------
    count
        Numbers that there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._fresh = 0  # numbers never used begin here
        self._rested: deque[tuple[float, int]] = deque()  # let go when, the longest ago first

    def take(self, now: float) -> int | None:
        """Take a number; None where all are in use."""
        if self._rested and (
            now - self._rested[0][0] >= SLOT_REST_SECONDS or self._fresh == self._count
        ):
            return self._rested.popleft()[1]
        if self._fresh == self._count:
            return None
        self._fresh += 1
        return self._fresh - 1

    def let_go(self, slot: int, now: float) -> None:
        """Give a number back."""
        self._rested.append((now, slot))


class LeaseTable:
    """Grants agents to learners, one learner an agent.

    Parameters
    ----------
    population_size
        Number of agents P.
    lease_timeout
        Seconds of silence after which a lease runs out.
    num_slots
        Experience sockets that there can be at once.

    Attributes
    ----------
    leases
        The leases by their learners' identities.
    """

    def __init__(self, population_size: int, lease_timeout: float, num_slots: int) -> None:
        self.population_size = population_size
        self.lease_timeout = lease_timeout
        self.leases: dict[bytes, Lease] = {}
        self._by_agent: dict[int, Lease] = {}
        self._slots = Slots(num_slots)
        self._generations = 0

    def join(self, peer: bytes, name: str, device: str, wanted: str, now: float) -> Lease:
        """Grant ``wanted`` (``"0-3,6"``, ``"auto"``: all that are free, ``"any:4"``) to a learner.

        Raises
        ------
        Refused
            The agents do not exist or are taken, or there is no slot.
        """
        agents = self._choose(wanted)
        slot = self._slots.take(now)
        if slot is None:
            raise Refused("every experience socket is in use", final=False)
        self.leave(peer, now)
        self._generations += 1
        lease = Lease(peer, name, device, agents, slot, self._generations, now)
        self.leases[peer] = lease
        self._by_agent |= dict.fromkeys(agents, lease)
        return lease

    def another_slot(self, lease: Lease, now: float) -> bool:
        """Give a lease another slot, since its own cannot be had; False where there is none."""
        slot = self._slots.take(now)
        self._slots.let_go(lease.slot, now)
        if slot is not None:
            lease.slot = slot
        return slot is not None

    def heard(self, peer: bytes, now: float) -> bool:
        """Note a sign of life; False where the learner has no lease."""
        lease = self.leases.get(peer)
        if lease is not None:
            lease.last_seen = now
            lease.welcomed = True
        return lease is not None

    def leave(self, peer: bytes, now: float) -> Lease | None:
        """End a learner's lease and return it, if there was one."""
        lease = self.leases.pop(peer, None)
        if lease is not None:
            for agent in lease.agents:
                del self._by_agent[agent]
            self._slots.let_go(lease.slot, now)
        return lease

    def forgive(self, seconds: float) -> None:
        """Take so many seconds of silence as our own fault."""
        for lease in self.leases.values():
            lease.last_seen += seconds

    def expire(self, now: float) -> list[Lease]:
        """End and return the leases of learners silent for too long."""
        lost = [x for x in self.leases.values() if now - x.last_seen > self.lease_timeout]
        for lease in lost:
            self.leave(lease.peer, now)
        return lost

    def lease_of(self, agent: int) -> Lease | None:
        """Find the learner of an agent."""
        return self._by_agent.get(agent)

    @property
    def free(self) -> list[int]:
        """Agents without a learner."""
        return [agent for agent in range(self.population_size) if agent not in self._by_agent]

    def _choose(self, text: str) -> tuple[int, ...]:
        size = self.population_size
        try:
            wanted = parse_wanted(text)
        except ValueError as error:
            raise Refused(str(error)) from None
        if not isinstance(wanted, tuple):
            free = self.free
            count = wanted or max(1, len(free))
            if count > size:
                raise Refused(f"--agents {text}: the population has {size} agents")
            if count > len(free):
                few = f"--agents {text}: {len(free)} of {size} agents are free"
                raise Refused(few, taken=True)
            return tuple(free[:count])
        if wanted[-1] >= size:
            raise Refused(f"--agents {text}: the population has agents 0-{size - 1}")
        taken = [agent for agent in wanted if agent in self._by_agent]
        if taken:
            names = sorted({self._by_agent[agent].name for agent in taken})
            raise Refused(
                f"--agents {text}: {format_agents(taken)} already taken by {', '.join(names)}",
                taken=True,
            )
        return wanted
