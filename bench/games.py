"""Environment steps per second of processor time: PettingZoo's, brigade's games', training's.

    python bench/games.py [--steps 20000] [--transitions 65536] [--repeats 3]

All of it is on mpe2's simple_spread, three agents, and counts the time of all processes. What is
measured takes turns with the bare environment, and each figure is divided by the mean of those
before and after it. The bare loop plays actions that were drawn beforehand and keeps nothing.
Training is ``brigade train`` with two layers of 64, batches of 4,096 transitions for each policy, 4
epochs and one thread; of its time, that of a run of one batch is taken off, so that start-up does
not count.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from brigade.games.build import build
from brigade.games.pettingzoo.finding import find
from brigade.games.pettingzoo.vector_game import spec_of
from brigade.games.vector import Playing
from brigade.run.child import child_command, child_environment

ENV = "mpe2.simple_spread_v3"
SEATS = 3
DRAWN = 1000  # actions, which are played again and again
BATCH = ("--batch-size=256", "--num-epochs=4", "--update-interval=64")
BATCH_TRANSITIONS = 4096
WAYS = {
    "one shared policy": ("--population-size=1", "--self-play"),
    "8 policies": ("--population-size=8",),
}
Rate = Callable[[], float]  # steps per second of processor time


def bare(steps: int) -> float:
    """Play the environment itself."""
    env = importlib.import_module(ENV).parallel_env()
    generator = np.random.default_rng(1)
    drawn = [
        {f"agent_{seat}": int(choice) for seat, choice in enumerate(row)}
        for row in generator.integers(0, 5, (DRAWN, SEATS))
    ]
    env.reset(seed=1)
    start = time.process_time()
    for number in range(steps):
        env.step(drawn[number % DRAWN])
        if not env.agents:
            env.reset()
    return steps / (time.process_time() - start)


def games(steps: int, num_games: int, playing: Playing) -> float:
    """Play brigade's games, with actions that were drawn beforehand, and look at nothing."""
    spec, _ = spec_of(find(ENV, {}))
    game = build(spec, num_games, max_turns=None, seed=1, playing=playing)
    try:
        game.reset()
        generator = np.random.default_rng(1)
        rows = num_games * SEATS
        drawn = [[row] for row in generator.integers(0, 5, (DRAWN, rows, 1)).astype(np.int32)]
        children = _pids_of_children()
        start = time.process_time() + sum(map(_seconds_of, children))
        for number in range(steps // num_games):
            game.step(drawn[number % DRAWN])
        end = time.process_time() + sum(map(_seconds_of, children))
    finally:
        game.close()
    return steps // num_games * num_games / (end - start)


def training(transitions: int, *flags: str) -> float:
    """Train, and count what comes after each policy's first batch."""
    policies = 8 if "--population-size=8" in flags else 1
    first = policies * BATCH_TRANSITIONS
    begun, short = _train(first, *flags)
    done, long = _train(first + transitions, *flags)
    return (done - begun) / SEATS / (long - short)


def _train(transitions: int, *flags: str) -> tuple[int, float]:
    """Transitions that a run took, and seconds of processor time of all of its processes."""
    with tempfile.TemporaryDirectory() as folder:
        command = child_command(
            *("train", "--env", ENV, "--hidden-size=64", "--threads=1", "--seed=1", *BATCH),
            *("--num-episodes=1000000000", f"--num-transitions={transitions}"),
            *("--checkpoint-interval=1000000000", f"--checkpoint-dir={folder}"),
            *("--run-name=bench", *flags),
        )
        environment = os.environ | child_environment() | {"OMP_NUM_THREADS": "1"}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        rows = (Path(folder) / "bench" / "metrics.jsonl").read_text().splitlines()
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return int(json.loads(rows[-1])["transitions"]), seconds


def _pids_of_children() -> list[int]:
    """Give the processes that this one has started."""
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _seconds_of(pid: int) -> float:
    """Tell how much processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def compare(what: str, ours: Rate, reference: Rate, repeats: int) -> None:
    """Measure by turns with the bare environment, and print medians."""
    bares, rates, ratios = [reference()], [], []
    for _ in range(repeats):
        rates.append(ours())
        bares.append(reference())
        ratios.append(rates[-1] / statistics.mean(bares[-2:]))
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(
        f"{what:<36}{statistics.median(bares):>9,.0f}{statistics.median(rates):>9,.0f}"
        f"{statistics.median(ratios):>8.2f}   {spread}",
        flush=True,
    )


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20_000, help="of environments, at a time")
    parser.add_argument("--transitions", type=int, default=65_536, help="in training")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--games", type=int, default=16, help="side by side")
    parser.add_argument("--only", default="", help="measure what has this in its name")
    options = parser.parse_args()
    steps, number = options.steps, options.games
    rows: dict[str, Rate] = {
        "games in this process": lambda: games(steps, number, Playing()),
        "games in a worker": lambda: games(steps, number, Playing(num_workers=1)),
        "games in two workers": lambda: games(steps, number, Playing(num_workers=2)),
    }
    for way, flags in WAYS.items():
        for workers in (0, 1):
            where = "" if workers == 0 else ", a worker"
            found = (*flags, f"--num-games={number}", f"--env-workers={workers}")
            rows[f"training, {way}{where}"] = lambda f=found: training(options.transitions, *f)
    print(f"{options.repeats} repeats, load {os.getloadavg()[0]:.1f}; steps a processor second")
    print(f"{'':<36}{'bare':>9}{'brigade':>9}{'ratio':>8}   from to")
    for what, ours in rows.items():
        if options.only in what:
            compare(what, ours, lambda: bare(steps), options.repeats)


if __name__ == "__main__":
    main()
