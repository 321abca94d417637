"""How near trained populations come to the exact optimum, scenario by scenario.

Trains one population for each scenario and seed, all with the same settings; prints the share of
the way from random play to the optimum (discounted at 0.99, games of at most 1,000 nights), beside
what scripted teams reach. A table for bench/results.md is printed at the end.

    python bench/learning.py [default easy ...] [--seeds 3] [--num-transitions 4500000]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from brigade._core import ARCHETYPES, scenario_names
from brigade.config import convert
from brigade.run.evaluate import EvaluateConfig, evaluate

SETTINGS = [
    *("--hidden-size", "128", "--learning-rate", "3e-3", "--anneal"),
    *("--update-interval", "25", "--team-spirit", "1"),
]
EPISODES = 500
MAX_NIGHTS = 1000
# Their optimum is not known exactly.
LEFT_OUT = ("default_continuous", "positional_default")


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    known = [name for name in scenario_names() if name not in LEFT_OUT]
    parser.add_argument("scenarios", nargs="*", default=known)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--num-transitions", type=int, default=4_500_000)
    options = parser.parse_args()
    flags = [*SETTINGS, "--num-transitions", str(options.num_transitions)]
    rows = []
    for scenario in options.scenarios:
        results = [train(scenario, seed, flags) for seed in range(1, options.seeds + 1)]
        shares = [share for share, _, _ in results]
        greedy = statistics.mean(share for _, share, _ in results)
        seconds = statistics.mean(seconds for _, _, seconds in results)
        spread = share_of("spread", scenario)
        archetype, best = max(
            ((name, share_of(f"archetype:{name}", scenario)) for name in ARCHETYPES),
            key=lambda pair: pair[1],
        )
        rows.append(
            f"| {scenario} | {statistics.mean(shares):.3f} | {min(shares):.3f} to "
            f"{max(shares):.3f} | {greedy:.3f} | {spread:.3f} | {best:.3f} ({archetype}) "
            f"| {seconds:.0f} s |"
        )
        print(rows[-1], flush=True)
    print(f"\n`brigade train {' '.join(flags)}`, {options.seeds} seeds, {EPISODES} games each:\n")
    print("| scenario | sampled | seeds | greedy | spread-out team | best archetype | time |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(rows))


def train(scenario: str, seed: int, flags: list[str]) -> tuple[float, float, float]:
    """Train one population: its share playing sampled, playing greedily, and the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["--scenario", scenario, "--seed", str(seed)]
        place = ["--checkpoint-dir", folder, "--run-name", "run"]
        limits = ["--num-episodes", "1000000000", "--checkpoint-interval", "1000000000"]
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "brigade", "train", *flags, *words, *place, *limits],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - started
        final = str(Path(folder) / "run" / "final_checkpoint.pt")
        return share_of(final, None), share_of(final, None, greedy=True), seconds


def share_of(what: str, scenario: str | None, *, greedy: bool = False) -> float:
    """Measure a checkpoint or a scripted team as `brigade evaluate` does."""
    settings = {"what": what, "episodes": EPISODES, "max_nights": MAX_NIGHTS, "greedy": greedy}
    config = convert(EvaluateConfig, settings | ({"scenario": scenario} if scenario else {}))
    share = evaluate(config).share(MAX_NIGHTS)
    assert share is not None, f"{scenario} has no exact optimum"
    return share.share


if __name__ == "__main__":
    main()
