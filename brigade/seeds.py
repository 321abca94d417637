"""Every random stream of a run, derived from its one seed and the stream's purpose.

A stream depends on nothing but ``(seed, purpose, indices)``: not on what ran before, nor on which
process asks. So a learner that takes an agent over shuffles as the one before it would have.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for. The numbers are part of a run's meaning: append, never renumber."""

    GAMES = 0
    MATCHMAKING = 1
    ACTIONS = 2
    NETWORK = 3  # indices: agent
    MINIBATCHES = 4  # indices: agent, policy version
    EVALUATION = 5
    STARTS = 6


def sequence(seed: int, purpose: Purpose, *indices: int) -> np.random.SeedSequence:
    """Derive the seed sequence of a purpose."""
    return np.random.SeedSequence(seed, spawn_key=(int(purpose), *indices))


def generator(seed: int, purpose: Purpose, *indices: int) -> np.random.Generator:
    """Derive a NumPy generator (PCG64) for a purpose."""
    return np.random.Generator(np.random.PCG64(sequence(seed, purpose, *indices)))


def number(seed: int, purpose: Purpose, *indices: int) -> int:
    """Derive one 63-bit number, to seed what wants a number (torch's generators, an engine)."""
    return int(sequence(seed, purpose, *indices).generate_state(1, np.uint64)[0] >> np.uint64(1))
