"""The exact optimum of the game: the limit to measure a team of learners against.

`solve` finds the best mean return per agent, or the best team reward per night, that any team can
reach in a scenario, knowing everything and of one mind; `evaluate` gives the exact value of random
play, of resting and of the scripted spread-out team under both objectives; `OptimalTeam` plays the
optimum.

Why counts suffice
------------------
The return is the mean over the seats, so what matters is what the team does and earns together.

- Fires do not outlive the night: with ``extinguish_mode`` ``bernoulli`` a burning house is put out
  or ruined in the same night, before fire spreads. So nothing ever spreads, every house catches
  fire by itself with the same chance, and where a house stands does not matter.
- Every house has exactly one owner, so saving or losing any house brings the team the same: one
  owner's term and everyone else's. Where per-seat values make houses differ, this fails and the
  scenario is refused.
- Every seat reaches every house at the same cost, as there is no cost of distance and no limit of
  reach. Otherwise it is refused.
- All else that pays (work, rest, the team's terms, shaping, welfare) counts houses or workers.
  Signals are free, and since all seats follow one plan, a round of signals tells nobody anything:
  two-phase games have the same optimum.

So houses can be renamed at will, and the best decision depends on (night, burning, ruined) only,
the night only up to ``min_nights``, from when on the game may end and the rules do not change. A
decision spreads workers over the fires (`brigade.optimum.decisions`); the rest of the team does
what pays best with the others' night.

Numbers are 64-bit; the game draws on a grid of 2^-24 and adds in 32 bits, so that its chances
differ from the ones used here by up to 1.2e-7.
"""

from brigade.optimum.decisions import Decision, Pastime
from brigade.optimum.evaluation import PolicyValue, evaluate
from brigade.optimum.game import CountGame
from brigade.optimum.policy import Policy, deciding, random_play, resting, spread_out
from brigade.optimum.reference import (
    DISCOUNTED_OPTIMUM,
    PER_NIGHT_OPTIMUM,
    reference_values,
    reference_values_of,
)
from brigade.optimum.solver import Objective, Optimum, solve, solve_game
from brigade.optimum.table import optimum_content, print_optimum
from brigade.optimum.team import OptimalTeam

__all__ = [
    "DISCOUNTED_OPTIMUM",
    "PER_NIGHT_OPTIMUM",
    "CountGame",
    "Decision",
    "Objective",
    "OptimalTeam",
    "Optimum",
    "Pastime",
    "Policy",
    "PolicyValue",
    "deciding",
    "evaluate",
    "optimum_content",
    "print_optimum",
    "random_play",
    "reference_values",
    "reference_values_of",
    "resting",
    "solve",
    "solve_game",
    "spread_out",
]
