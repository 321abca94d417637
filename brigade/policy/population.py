"""Which network each agent of a population has.

Agents are numbered through the roles of a game: those of the first role come first. All agents of a
role have networks of one shape.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from brigade.policy.network import Network


@dataclass(frozen=True)
class Population:
    """Agents of one or several roles.

    Attributes
    ----------
    networks
        Shape of the networks of each role.
    sizes
        How many agents each role has.

    Raises
    ------
    ValueError
        There is no role, or one without agents.
    """

    networks: tuple[Network, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.networks or len(self.networks) != len(self.sizes) or min(self.sizes) < 1:
            raise ValueError(f"{len(self.networks)} networks for {list(self.sizes)} agents")

    @classmethod
    def of(cls, network: Network, size: int) -> Population:
        """Make one of a single role."""
        return cls((network,), (size,))

    @property
    def size(self) -> int:
        """Agents of all roles, P."""
        return sum(self.sizes)

    @cached_property
    def firsts(self) -> tuple[int, ...]:
        """The first agent of each role."""
        return (0, *accumulate(self.sizes[:-1]))

    def role_of(self, agent: int) -> int:
        """Which role an agent has; IndexError where there is no such agent."""
        if not 0 <= agent < self.size:
            raise IndexError(f"agent {agent}")
        return bisect_right(self.firsts, agent) - 1

    def network_of(self, agent: int) -> Network:
        """Shape of an agent's network; IndexError where there is no such agent."""
        return self.networks[self.role_of(agent)]

    def agents(self, role: int) -> range:
        """Agents of a role."""
        return range(self.firsts[role], self.firsts[role] + self.sizes[role])

    def networks_of(self, agents: Sequence[int]) -> list[Network]:
        """Shape of each one's network."""
        return [self.network_of(agent) for agent in agents]

    def __iter__(self) -> Iterator[tuple[Network, range]]:
        """Give each role's networks and agents."""
        return ((network, self.agents(role)) for role, network in enumerate(self.networks))

    @property
    def network(self) -> Network:
        """Shape of all agents' networks.

        Raises
        ------
        ValueError
            There are several roles.
        """
        if len(self.networks) != 1:
            raise ValueError(f"a population of {len(self.networks)} roles")
        return self.networks[0]

    @property
    def num_parameters(self) -> int:
        """Parameters of all agents together."""
        return sum(n * size for n, size in zip(self._row_lengths, self.sizes, strict=True))

    @property
    def longest_row(self) -> int:
        """Parameters of the largest agent."""
        return max(self._row_lengths)

    @property
    def _row_lengths(self) -> list[int]:
        return [network.num_parameters for network in self.networks]
