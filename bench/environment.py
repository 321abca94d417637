"""Game-steps per second of the batched environment, and where their time goes.

    python bench/environment.py [--repeats 9] [--scenario default] [--parts]

Actions are random and drawn before the clock starts; observations, rewards, flags, final
observations, returns and lengths are all written; games that end start anew on the clock. Figures
are medians of the repeats, on one core unless the row says otherwise. A step of a game is one
night (in a two-phase scenario half of one).

`--parts` runs the Rust benches too (it needs cargo) and tells what random numbers, rewards and
observations take of a step.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from brigade._core import Batch, named_scenario

ROOT = Path(__file__).resolve().parents[1]
STEPS_A_REPEAT = 400_000  # game-steps: long enough for the clock, short enough to repeat
MAX_CYCLES = 1000


def median_seconds(run: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Give the median time of ``run`` and the spread of the repeats in percent."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    middle = statistics.median(times)
    return middle, 100 * (max(times) - min(times)) / middle


class Games:
    """B games with their arrays and a few sets of random actions."""

    def __init__(self, scenario: str, num_envs: int, num_agents: int, num_threads: int) -> None:
        seeds = np.arange(num_envs, dtype=np.uint64)
        self.batch = Batch(scenario, num_envs, num_agents, MAX_CYCLES, seeds, num_threads)
        shape = (num_envs, num_agents, self.batch.num_features)
        self.observations = np.zeros(shape, np.float32)
        self.arrays = (
            self.observations,
            np.zeros(shape[:2], np.float32),
            np.zeros(num_envs, np.bool_),
            np.zeros(num_envs, np.bool_),
            np.zeros(shape, np.float32),
            np.zeros(shape[:2], np.float64),
            np.zeros(num_envs, np.int32),
        )
        rng = np.random.default_rng(0)
        limits = (self.batch.scenario.num_houses, 2, 2)
        sets = max(2, min(16, 100_000 // num_envs))
        self.actions = [
            rng.integers(0, limits, (num_envs, num_agents, 3), dtype=np.int32) for _ in range(sets)
        ]
        self.steps = max(1, STEPS_A_REPEAT // (num_envs * max(1, num_agents // 4)))
        self.play(100)  # games in all their stages, not all at their start

    def play(self, steps: int | None = None) -> None:
        """Step all games ``steps`` times, or those of one repeat."""
        for step in range(steps or self.steps):
            self.batch.step(self.actions[step % len(self.actions)], *self.arrays)

    def observe(self) -> None:
        """Write the observations as often as ``play`` does, and nothing else."""
        for _ in range(self.steps):
            self.batch.write_observations(self.observations)

    def default(self) -> None:
        """Try out as many nights for each seat as if it rested, and play none."""
        seats = self.observations.shape[:2]
        arrays = (
            np.zeros((*seats, seats[1]), np.float32),
            np.zeros(seats, np.bool_),
            np.zeros(seats, np.bool_),
            np.zeros_like(self.observations),
        )
        for step in range(self.steps):
            self.batch.default_outcomes(self.actions[step % len(self.actions)], *arrays)

    def fill(self) -> None:
        """Fill the observations with a constant as often: what this machine's memory allows."""
        for _ in range(self.steps):
            self.observations.fill(0.5)


def row(name: str, games: Games, run: Callable[[], None], repeats: int) -> None:
    """Measure and print one line."""
    seconds, spread = median_seconds(run, repeats)
    each = seconds / (games.steps * games.batch.num_envs)
    print(f"{name:36} {1e-6 / each:8.2f} M/s {1e9 * each:9.1f} ns   spread {spread:3.0f}%")


def parts() -> None:
    """Run the Rust benches and print what a step is made of."""
    command = ["cargo", "bench", "--quiet", "-p", "brigade-core", "--bench", "games", "--"]
    quick = ["--warm-up-time", "0.5", "--measurement-time", "2", "(parts|step/games/1024)"]
    subprocess.run([*command, *quick], cwd=ROOT, check=True, capture_output=True)

    def nanoseconds(name: str) -> float:
        path = ROOT / "target" / "criterion" / name / "new" / "estimates.json"
        return float(json.loads(path.read_text())["median"]["point_estimate"]) / 1024

    step = nanoseconds("step/games/1024")
    night = nanoseconds("parts/night")
    shares = {
        "random numbers": nanoseconds("parts/draws"),
        "rewards": nanoseconds("parts/rewards"),
        "observations": nanoseconds("parts/observations"),
    }
    shares["the rest of the night"] = night - shares["random numbers"] - shares["rewards"]
    print(f"\nparts of a step, 1024 games of 4 agents, measured in Rust ({step:.0f} ns in all):")
    for name, each in shares.items():
        print(f"  {name:32} {100 * each / step:8.0f} %  {each:9.1f} ns")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--scenario", default="default")
    parser.add_argument("--parts", action="store_true")
    arguments = parser.parse_args()
    repeats: int = arguments.repeats
    scenario: str = arguments.scenario
    named_scenario(scenario)

    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(f"numpy {np.__version__}, scenario {scenario!r}, median of {repeats} repeats\n")
    for num_envs in (1, 64, 1024, 8192, 65_536):
        games = Games(scenario, num_envs, 4, 1)
        row(f"{num_envs} games of 4 agents", games, games.play, repeats)
    for num_agents in (1, 2, 8, 16):
        games = Games(scenario, 1024, num_agents, 1)
        row(f"1024 games of {num_agents} agents", games, games.play, repeats)
    games = Games(scenario, 8192, 4, 2)
    row("8192 games of 4 agents, 2 threads", games, games.play, repeats)
    print("\nof a step of 4 agents:")
    for num_envs in (1024, 65_536):
        games = Games(scenario, num_envs, 4, 1)
        row(f"  observations, {num_envs} games", games, games.observe, repeats)
        row(f"  filling their array, {num_envs} games", games, games.fill, repeats)
    games = Games(scenario, 1024, 4, 1)
    print("\nbeside a step, for training:")
    row("  each of 4 seats at rest, 1024 games", games, games.default, repeats)
    if arguments.parts:
        parts()


if __name__ == "__main__":
    main()
