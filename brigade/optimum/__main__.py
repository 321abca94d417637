"""Print the reference values of all named scenarios as Markdown: ``python -m brigade.optimum``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

from brigade.env.scenarios import load_scenario, scenario_names
from brigade.optimum.evaluation import PolicyValue
from brigade.optimum.reference import (
    DISCOUNTED_OPTIMUM,
    PER_NIGHT_OPTIMUM,
    reference_values,
)

_SCRIPTS = ("random", "resting", "spread")


def main() -> None:
    """Print three tables: discounted, per night, and per night of the shortest games."""
    parser = argparse.ArgumentParser(prog="python -m brigade.optimum", description=__doc__)
    parser.add_argument("--num-agents", type=int, default=4)
    parser.add_argument("--discount", type=float, default=0.99)
    arguments = parser.parse_args()
    whole: dict[str, dict[str, PolicyValue]] = {}
    short: dict[str, dict[str, PolicyValue]] = {}
    for name in scenario_names():
        scenario = load_scenario(name)
        try:
            whole[name] = reference_values(scenario, arguments.num_agents, arguments.discount)
        except ValueError:
            continue
        short[name] = reference_values(
            scenario, arguments.num_agents, arguments.discount, scenario.min_nights + 1
        )
    tables = (
        (
            f"Mean return per agent, discounted by {arguments.discount:g}",
            _rows(whole, DISCOUNTED_OPTIMUM, lambda value: value.discounted_return),
        ),
        (
            "Team reward per night, games following each other",
            _rows(whole, PER_NIGHT_OPTIMUM, lambda value: value.reward_per_night),
        ),
        (
            "Team reward per night, games cut after `min_nights` + 1 nights",
            _rows(short, PER_NIGHT_OPTIMUM, lambda value: value.reward_per_night),
        ),
    )
    for title, rows in tables:
        print(f"**{title}**\n")
        print("| scenario | random | resting | spread | optimum | its nights per game |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        print("\n".join(rows), end="\n\n")


def _rows(
    values: dict[str, dict[str, PolicyValue]],
    optimum: str,
    figure: Callable[[PolicyValue], float],
) -> Iterator[str]:
    for name, by_policy in values.items():
        figures = [f"{figure(by_policy[policy]):.1f}" for policy in (*_SCRIPTS, optimum)]
        nights = f"{by_policy[optimum].nights_per_game:,.1f}"
        yield f"| `{name}` | " + " | ".join([*figures, nights]) + " |"


if __name__ == "__main__":
    main()
