"""What environments do against PettingZoo's interface, and can be put up with: counted by kind."""

from __future__ import annotations

from collections import Counter
from enum import Enum


class Oddity(Enum):
    """A kind of oddity; its value completes the sentence "the environment ..."."""

    STAYED = "keeps an agent in `agents` after its flags said that it ended"
    LEFT_WITHOUT_FLAG = "takes an agent out of `agents` without a flag; counted as truncated"
    UNSEEN = "has an agent in `agents` without an observation; it is not asked for an action"
    NO_FINAL_OBSERVATION = "gives no observation to an agent that ends; its last one is taken"
    NOT_IN_AGENTS = "observes an agent that is not in `agents`; left out"
    REWARD_WHILE_ABSENT = "rewards an agent that is not there; it counts in returns all the same"
    NO_REWARD = "gives no reward to an agent that is there; counted as 0"
    NO_FLAG = "gives no flag to an agent that is there; counted as going on"
    NO_INFO = "gives None in place of infos"
    NUMPY_FLAG = "gives flags that are not Python's bool"
    REWARD_TYPE = "gives rewards that are not Python's float"
    NO_SEED = "takes no seed at reset, so that its episodes do not repeat"
    NO_PENDING_REWARDS = "does not tell what agents are still owed when a game is cut"
    RAISED = "raises an exception; all games of its worker were cut, and begun anew in another"
    INVALID = "returns invalid data; all games of its worker were cut, and begun anew in another"
    LOST = "loses a worker; all games of that were cut, and begun anew in another"

    __hash__ = object.__hash__  # Enum's own is slow, and there is one object of each kind


class Oddities:
    """How often each kind was seen, and where first.

    Attributes
    ----------
    counts
        By kind.
    first
        A description of each kind's first occurrence, to be told once.
    """

    def __init__(self) -> None:
        self.counts: Counter[Oddity] = Counter()
        self.first: dict[Oddity, str] = {}

    def note(self, kind: Oddity, where: str, times: int = 1) -> None:
        """Count so many, the first of which occurred there."""
        self.counts[kind] += times
        if kind not in self.first:
            self.first[kind] = where
