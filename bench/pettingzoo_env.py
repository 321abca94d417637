"""Nights per second of the PettingZoo environments in one process.

    python bench/pettingzoo_env.py [--nights 40000] [--repeats 7]

Actions are drawn before the clock starts, games that end are reset on the clock, and the figure is
the median of the repeats. The last row is the compiled part of a step alone.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import brigade
from brigade.env.game import Game


def median_rate(run: Callable[[], int], repeats: int) -> tuple[float, float]:
    """Give the median rate of ``run``, which tells how much it did, and the spread in percent."""
    run()
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        done = run()
        rates.append(done / (time.perf_counter() - start))
    middle = statistics.median(rates)
    return middle, 100 * (max(rates) - min(rates)) / middle


def stepper(env: Any, nights: int) -> Callable[[], int]:
    """Play ``nights`` nights of a parallel environment with actions drawn beforehand."""
    env.reset(seed=1)
    agents = env.possible_agents
    for seat, agent in enumerate(agents):
        env.action_space(agent).seed(seat)
    drawn = [{agent: env.action_space(agent).sample() for agent in agents} for _ in range(512)]

    def run() -> int:
        env.reset(seed=1)
        for night in range(nights):
            if not env.agents:
                env.reset()
            env.step(drawn[night & 511])
        return nights

    return run


def sampler(env: Any, nights: int) -> Callable[[], int]:
    """Play with actions that Gymnasium's spaces draw on the clock, as many examples do."""

    def run() -> int:
        env.reset(seed=1)
        for _ in range(nights):
            if not env.agents:
                env.reset()
            env.step({agent: env.action_space(agent).sample() for agent in env.agents})
        return nights

    return run


def aec_stepper(env: Any, nights: int) -> Callable[[], int]:
    """Play an AEC environment, agent by agent."""

    def run() -> int:
        env.reset(seed=1)
        done = 0
        while done < nights:
            if not env.agents:
                env.reset()
            agent = env.agent_selection
            _, _, terminated, truncated, _ = env.last()
            env.step(None if terminated or truncated else (3, 1, 0))
            done += agent == "agent_3"
        return nights

    return run


def core_stepper(nights: int) -> Callable[[], int]:
    """Play the compiled game under the environment, without PettingZoo's dictionaries."""
    game = Game(brigade.load_scenario("default"), 4, 1000)
    actions = np.zeros((1, 4, 3), dtype=np.int32)

    def run() -> int:
        game.reset(1)
        for _ in range(nights):
            if game.ending is not None:
                game.reset(None)
            game.step(actions)
        return nights

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nights", type=int, default=40_000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    n = options.nights
    two_phase = brigade.load_scenario("default", commitment_mode="two_phase")
    adjacent = brigade.load_scenario("default", action_validity_mode="adjacent_only")
    rows: list[tuple[str, Callable[[], int]]] = [
        ("parallel_env, default, 4 agents", stepper(brigade.parallel_env(), n)),
        ("  discrete actions", stepper(brigade.parallel_env(actions="discrete"), n)),
        ("  two_phase (steps, two a night)", stepper(brigade.parallel_env(two_phase), n)),
        ("  adjacent_only (action masks)", stepper(brigade.parallel_env(adjacent), n)),
        ("  1 agent", stepper(brigade.parallel_env(num_agents=1), n)),
        ("  10 agents", stepper(brigade.parallel_env(num_agents=10), n // 2)),
        ("  spaces sample on the clock", sampler(brigade.parallel_env(), n // 4)),
        ("env (AEC), default, 4 agents", aec_stepper(brigade.env(), n // 8)),
        ("compiled step alone, 4 agents", core_stepper(n)),
    ]
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    print(f"{versions}, medians of {options.repeats}")
    for name, run in rows:
        rate, spread = median_rate(run, options.repeats)
        print(f"{name:<36} {rate:>10,.0f} nights/s   {1e6 / rate:6.2f} us   spread {spread:.0f}%")


if __name__ == "__main__":
    main()
