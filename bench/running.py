"""How long runs take on this machine: whole ``brigade train`` runs at a few sizes, start-up apart.

python bench/running.py [--num-transitions 300000] [--agents 8 64] [--hidden-size 64 128 512]
"""

from __future__ import annotations

import argparse
import os

import torch
from pace import WARM_UP_ROWS, pace

from brigade.config import RunConfig
from brigade.run.cores import available_cores
from brigade.sim.view import duration

UPDATE_INTERVAL = 25  # so that a short run has updates enough to measure
TARGETS = (1_000_000, 10_000_000, 100_000_000)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--num-transitions", type=int, default=300_000)
    parser.add_argument("--agents", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--hidden-size", type=int, nargs="+", default=[64, 128, 512])
    parser.add_argument("--scenario", default="default")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(
        f"{options.num_transitions:,} transitions on {options.scenario}, {available_cores()} cores "
        f"(load {load:.1f} before), torch {torch.__version__}"
    )
    heads = "".join(f"{f'{target:.0e}'.replace('+0', ''):>16}" for target in TARGETS)
    print(f"{'agents':>8}{'hidden':>8}{'transitions/s':>16}{heads}")
    for agents in options.agents:
        for hidden in options.hidden_size:
            pace = transitions_per_second(options, agents, hidden)
            times = "".join(f"{duration(target / pace):>16}" for target in TARGETS)
            print(f"{agents:8}{hidden:8}{pace:16,.0f}{times}", flush=True)


def transitions_per_second(options: argparse.Namespace, agents: int, hidden: int) -> float:
    """Agent-transitions a second of a run, once it is warm, its learners' work included."""
    config = RunConfig(update_interval=UPDATE_INTERVAL)
    least = (WARM_UP_ROWS + 5) * agents * config.rollout_transitions
    return pace(
        [
            *("--scenario", options.scenario, "--seed", "1"),
            *("--population-size", str(agents), "--hidden-size", str(hidden)),
            *("--update-interval", str(UPDATE_INTERVAL)),
            *("--num-transitions", str(max(least, options.num_transitions))),
        ]
    )


if __name__ == "__main__":
    main()
