"""The games here, what is the best that can be had in them, and settings that lead there."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from solvable.training import Trained, train

HERE = Path(__file__).parent
SURE = 200  # episodes
# Small games need few transitions for a step, and may make large ones.
SMALL = {
    "population_size": 1,
    "hidden_size": 32,
    "batch_size": 64,
    "update_interval": 32,
    "learning_rate": 3e-3,
}


@dataclass(frozen=True)
class Case:
    """A game, and when it counts as learned.

    Attributes
    ----------
    best
        The best mean return of the agents, or of each.
    tolerance
        By how much greedy play may stay below it; play with drawn actions by a tenth of it more.
    settings
        In place of brigade's own for environments, beside :data:`SMALL`.
    """

    env: str
    best: float | tuple[float, ...]
    tolerance: float = 1e-6
    settings: dict[str, Any] = field(default_factory=dict)
    num_transitions: int = 60_000

    def is_learned(self, trained: Trained, episodes: int = 48) -> bool:
        """Whether the population plays so."""
        best = np.array(self.best)
        for greedily, more in ((True, 0.0), (False, 0.1)):
            returns = trained.play(episodes, greedily=greedily).returns.mean(0)
            if (returns < best - self.tolerance - more * np.maximum(1, abs(best))).any():
                return False
        return True

    def train(self, seed: int) -> Trained | None:
        """Train until it is learned; None where it is not, after ``num_transitions``."""
        given = SMALL | {"num_transitions": self.num_transitions} | self.settings
        trained = train(
            HERE / self.env,
            lambda so_far: so_far.transitions > 0 and self._is_surely_learned(so_far),
            seed=seed,
            **given,
        )
        stopped = trained.transitions < self.num_transitions  # since it was
        return trained if stopped or self._is_surely_learned(trained) else None

    def _is_surely_learned(self, trained: Trained) -> bool:
        """Whether more episodes say so, too: what is rare and costs much may not be in a few."""
        return self.is_learned(trained) and self.is_learned(trained, SURE)


CASES = {
    "climbing game": Case("matrix.py:climbing", 11.0, settings={"optimism": 0.98}),
    "penalty game, k = -100": Case("matrix.py:penalty", 10.0, settings={"optimism": 0.98}),
    "two-step game": Case("matrix.py:TwoStep", 8.0),
    "traps (deaths)": Case("lives.py:Traps", 6.0, settings={"num_games": 64}),
    "heap (masks)": Case("lives.py:Heap", 10.0),
    "lamps (deaths, an arrival, cuts)": Case("lives.py:Lamps", (4.0, 2.0, 3.0)),
    "aim (continuous)": Case("lives.py:Aim", 0.0, 0.4, {"anneal": True}),
    "words (two roles)": Case("together.py:Words", 1.0, settings={"entropy_coef": 0.05}),
    "echo (turns)": Case("together.py:Echo", 3.0),
}
