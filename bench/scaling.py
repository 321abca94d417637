"""Costs that grow only as they must: pairs of whole ``brigade train`` runs, side by side.

Each pair differs in one setting and plays about the same number of transitions; the two take
turns, and what is printed is the ratio of their times per transition, pair by pair.

    python bench/scaling.py [--num-transitions 600000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import statistics

from pace import WARM_UP_ROWS, pace

from brigade.config import RunConfig, convert
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.sim.matchmaking import steps_per_rollout

# An update of 64 agents takes eight times the transitions of one of 8. Short updates keep runs
# short, and this many batches make rollouts of whole steps of 1,024 games as well as of 64; the
# network and the batches are the usual ones.
COMMON = {"scenario": "default", "seed": 1, "update_interval": 32}
PAIRS: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    "64 agents instead of 8": ({"population_size": 8}, {"population_size": 64}),
    "1,024 games instead of 64": ({"num_games": 64}, {"num_games": 1024}),
    "four learners instead of one": ({"num_learners": 1}, {"num_learners": 4}),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--num-transitions", type=int, default=600_000)
    parser.add_argument("--hidden-size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"hidden {options.hidden_size}, {options.num_transitions:,} transitions, default")
    for name, (usual, other) in PAIRS.items():
        ratios, paces = [], []
        for _ in range(options.repeats):
            slow, fast = (pace_of(options, settings) for settings in (other, usual))
            ratios.append(fast / slow)
            paces.append((fast, slow))
        a, b = (statistics.median(column) for column in zip(*paces, strict=True))
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(
            f"{name:32}{a:10,.0f} and {b:10,.0f} transitions/s; "
            f"time a transition x {statistics.median(ratios):.2f} ({spread})",
            flush=True,
        )


def pace_of(options: argparse.Namespace, settings: dict[str, int]) -> float:
    """Transitions a second of a run, from the first rows of metrics on to the last but one."""
    run: dict[str, object] = {k: v for k, v in settings.items() if k != "num_learners"}
    run |= {**COMMON, "hidden_size": options.hidden_size}
    config = convert(RunConfig, run)
    # Many games make a rollout of one step no smaller than all their seats.
    game = describe(load_scenario(config.scenario), config.num_agents_per_game)
    rollout = steps_per_rollout(config, game) * config.games * config.num_agents_per_game
    transitions = max(options.num_transitions, (WARM_UP_ROWS + 4) * rollout)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in (run | settings).items()]
    return pace([*flags, f"--num-transitions={transitions}"])


if __name__ == "__main__":
    main()
