"""How surely small environments of known optimum are learned, and after how many transitions.

    python bench/solvable.py [--seeds 5] [--only climbing]

The environments, and the settings for each, are those of tests/games/solvable. One is learned where
greedy play has the optimum in 48 and in 200 more episodes, and play with drawn actions a tenth less
at most; that is looked at before each rollout.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import time
from pathlib import Path


def main() -> None:
    """Train and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="", help="train on what has this in its name")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "games"))
    cases = importlib.import_module("solvable.cases").CASES
    print(f"{'':<36}{'learned':>9}{'transitions, median':>22}{'most':>9}{'CPU s':>8}")
    for name, case in cases.items():
        if options.only not in name:
            continue
        start = time.process_time()
        runs = [case.train(seed) for seed in range(1, options.seeds + 1)]
        needed = [trained.transitions for trained in runs if trained is not None]
        seconds = (time.process_time() - start) / options.seeds
        middle = f"{statistics.median(needed):,.0f}" if needed else "-"
        most = f"{max(needed):,}" if needed else "-"
        learned = f"{len(needed)}/{options.seeds}"
        print(f"{name:<36}{learned:>9}{middle:>22}{most:>9}{seconds:8.1f}", flush=True)


if __name__ == "__main__":
    main()
