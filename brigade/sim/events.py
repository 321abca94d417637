"""What a run tells those who watch it. The simulator itself prints nothing and writes no file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from brigade.games.vector import GameFailed
from brigade.sim.cohorts import Cohorts
from brigade.sim.lease_table import Lease
from brigade.sim.outliers import Outlier
from brigade.sim.statistics import Statistics

if TYPE_CHECKING:
    from brigade.store.checkpoint import Checkpoint  # which loads torch


@dataclass(frozen=True)
class Progress:
    """How far a run is, after a rollout."""

    statistics: Statistics
    share: float  # of the run, in [0, 1]
    seconds: float  # since the first game began
    updates: int  # of all agents, that have come back from the learners
    waited: float  # seconds for which the run has been waiting for learners; 0 while it plays
    remarks: list[str]  # what is slow or gone
    cohorts: Cohorts
    outliers: list[Outlier] = field(default_factory=list)  # agents unlike their peers


@dataclass(frozen=True)
class Events:
    """Callbacks, each of which may be left out."""

    waiting: Callable[[list[int]], None] = lambda agents: None  # for these agents' learners
    joined: Callable[[Lease], None] = lambda lease: None
    left: Callable[[Lease, str], None] = lambda lease, why: None
    progress: Callable[[Progress], None] = lambda progress: None
    # An agent's update to this version was undone, and why.
    diverged: Callable[[int, int, str], None] = lambda agent, version, why: None
    remark: Callable[[str], None] = lambda sentence: None  # of the game
    failed: Callable[[GameFailed], None] = lambda failure: None  # and the run ends with it
    # Called in the thread that writes, one after the other. The metrics are of an update of all
    # agents; of a checkpoint, the second argument tells whether it is the final one.
    metrics: Callable[[dict[str, Any]], None] = lambda row: None
    checkpoint: Callable[[Checkpoint, bool], None] = lambda checkpoint, final: None
