"""The roster: which learner has which agents. Pure: events in, answers out, time as an argument."""

from __future__ import annotations

from dataclasses import dataclass, field

from brigade.agent_numbers import format_agents, parse_wanted


@dataclass
class Lease:
    """A learner's right to a number of agents, kept by staying in touch."""

    peer: bytes  # the learner's identity on the control socket
    name: str
    device: str
    agents: tuple[int, ...]
    slot: int
    last_seen: float  # seconds on a monotonic clock
    ticket: str = field(default="", repr=False)  # what its weights are known by
    key: str = ""  # its public key, where there are keys
    welcomed: bool = False  # it has been heard since its welcome, so it has that


class Refused(ValueError):
    """A learner cannot have what it asks for; ``final`` where asking again will not help."""

    def __init__(self, reason: str, *, final: bool = True) -> None:
        super().__init__(reason)
        self.final = final


class Roster:
    """Grants agents to learners, one learner an agent.

    Parameters
    ----------
    population_size
        Number of agents P.
    patience
        Seconds of silence after which a lease runs out.
    """

    def __init__(self, population_size: int, patience: float) -> None:
        self.population_size = population_size
        self.patience = patience
        self.leases: dict[bytes, Lease] = {}
        self._next_slot = 0

    def join(self, peer: bytes, name: str, device: str, wanted: str, now: float) -> Lease:
        """Grant ``wanted`` (``"0-3,6"``, ``"auto"``: all that are free, ``"any:4"``) to a learner.

        Raises
        ------
        Refused
            The agents do not exist or are taken.
        """
        agents = self._choose(wanted)
        lease = Lease(peer, name, device, agents, self._next_slot, now)
        # A slot is never given out twice: a learner that was silent for too long may come back to
        # its old one, and must not get what is another's.
        self._next_slot += 1
        self.leases[peer] = lease
        return lease

    def heard(self, peer: bytes, now: float) -> bool:
        """Note a sign of life; False where the learner has no lease."""
        lease = self.leases.get(peer)
        if lease is not None:
            lease.last_seen = now
            lease.welcomed = True
        return lease is not None

    def leave(self, peer: bytes) -> Lease | None:
        """End a learner's lease and return it, if there was one."""
        return self.leases.pop(peer, None)

    def forgive(self, seconds: float) -> None:
        """Take so many seconds of silence as our own fault."""
        for lease in self.leases.values():
            lease.last_seen += seconds

    def expire(self, now: float) -> list[Lease]:
        """End and return the leases of learners silent for too long."""
        lost = [x for x in self.leases.values() if now - x.last_seen > self.patience]
        for lease in lost:
            del self.leases[lease.peer]
        return lost

    def lease_of(self, agent: int) -> Lease | None:
        """Find the learner of an agent."""
        return next((x for x in self.leases.values() if agent in x.agents), None)

    @property
    def free(self) -> list[int]:
        """Agents without a learner."""
        taken = {agent for lease in self.leases.values() for agent in lease.agents}
        return [agent for agent in range(self.population_size) if agent not in taken]

    def _choose(self, text: str) -> tuple[int, ...]:
        free, size = self.free, self.population_size
        try:
            wanted = parse_wanted(text)
        except ValueError as error:
            raise Refused(str(error)) from None
        if not isinstance(wanted, tuple):
            count = wanted or max(1, len(free))
            if count > size:
                raise Refused(f"--agents {text}: the population has {size} agents")
            if count > len(free):
                few = f"--agents {text}: {len(free)} of {size} agents are free"
                raise Refused(few, final=False)
            return tuple(free[:count])
        if wanted[-1] >= size:
            raise Refused(f"--agents {text}: the population has agents 0-{size - 1}")
        taken = sorted(set(wanted) - set(free))
        if taken:
            names = sorted({x.name for x in self.leases.values() if set(x.agents) & set(taken)})
            raise Refused(
                f"--agents {text}: {format_agents(taken)} already taken by {', '.join(names)}",
                final=False,
            )
        return wanted
