"""The optimum to be read: values and decisions as tables in a terminal, or as plain data."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from brigade.extras import require
from brigade.optimum.decisions import Pastime
from brigade.optimum.reference import reference_values_of
from brigade.optimum.solver import Optimum

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_RARE = 1e-4


def print_optimum(
    optimum: Optimum,
    name: str = "the scenario",
    console: Console | None = None,
    max_burning: int | None = None,
) -> None:
    """Print the value, the policies to compare it with, and what to do in which state.

    Parameters
    ----------
    optimum
        What `solve` found.
    name
        The scenario's.
    console
        Where to print; stdout by default.
    max_burning
        Columns for up to so many fires; by default for those that start in one night with a
        chance of at least 1e-4.

    Raises
    ------
    MissingExtra
        The extra ``cli`` is not installed.
    """
    require("print_optimum", "cli")
    from rich.text import Text

    if console is None:
        from rich.console import Console

        console = Console()
    game = optimum.game
    what, unit = {
        "discounted": (
            f"Mean return per agent, discounted by {optimum.discount:g} a night",
            "per agent",
        ),
        "per-night": ("Reward per night of the team, games following each other", "per night"),
    }[optimum.objective]
    cut = "" if optimum.max_nights is None else f", games cut after {optimum.max_nights} nights"
    console.print(
        Text.assemble(
            (name, "bold"),
            f": {game.num_houses} houses, {game.num_agents} agents{cut}\n{what}\n",
            (f"optimum {optimum.value:.4f}", "bold"),
            f" {unit}, exact to {optimum.error_bound:.0e}\n",
        )
    )
    console.print(_value_table(optimum))
    for first, last in _periods(optimum):
        console.print(_decision_table(optimum, first, last, max_burning))
    console.print(_legend(optimum), highlight=False)


def optimum_content(optimum: Optimum, name: str) -> dict[str, Any]:
    """Give the same as values that JSON has.

    Returns
    -------
    dict[str, Any]
        ``scenario``, ``num_houses``, ``num_agents``, ``objective``, ``discount`` and ``max_nights``
        (None: games are not cut); ``optimum`` and ``error_bound``; ``policies``: by name, each
        policy's ``discounted_return``, ``reward_per_night`` and ``nights_per_game`` (None: games
        may never end); ``decisions``: for each stretch of nights its ``first_night``, its
        ``last_night`` (None: all that follow) and ``crews``, where ``crews[ruined][burning]`` are
        the sizes of the crews at fires, for all states that there can be.
    """
    game = optimum.game
    values = reference_values_of(game, optimum.discount, optimum.max_nights)
    policies = {
        policy: {key: x if math.isfinite(x) else None for key, x in asdict(value).items()}
        for policy, value in values.items()
    }
    final = len(optimum.decisions) - 1
    decisions = [
        {
            "first_night": first,
            "last_night": None if optimum.max_nights is None and last == final else last,
            "crews": [
                [
                    list(optimum.decision(first, burning, ruined).crews)
                    for burning in range(game.num_houses - ruined + 1)
                ]
                for ruined in range(1 if last == 0 else game.num_houses + 1)
            ],
        }
        for first, last in _periods(optimum)
    ]
    return {
        "scenario": name,
        "num_houses": game.num_houses,
        "num_agents": game.num_agents,
        "objective": optimum.objective,
        "discount": optimum.discount,
        "max_nights": optimum.max_nights,
        "optimum": optimum.value,
        "error_bound": optimum.error_bound,
        "policies": policies,
        "decisions": decisions,
    }


def _value_table(optimum: Optimum) -> Table:
    from rich.table import Table

    table = Table(title="Values", title_justify="left")
    table.add_column("policy")
    for column in ("discounted", "per night", "nights per game"):
        table.add_column(column, justify="right")
    values = reference_values_of(optimum.game, optimum.discount, optimum.max_nights)
    for policy, value in values.items():
        table.add_row(
            policy,
            f"{value.discounted_return:.1f}",
            f"{value.reward_per_night:.1f}",
            f"{value.nights_per_game:,.1f}",
        )
    return table


def _periods(optimum: Optimum) -> list[tuple[int, int]]:
    """Group nights in a row with the same decisions: first and last entry of each group."""
    changes = (optimum.decisions[1:] != optimum.decisions[:-1]).any(axis=(1, 2))
    firsts = [0, *(np.flatnonzero(changes) + 1).tolist()]
    return list(
        zip(firsts, [*(f - 1 for f in firsts[1:]), len(optimum.decisions) - 1], strict=True)
    )


def _decision_table(optimum: Optimum, first: int, last: int, max_burning: int | None) -> Table:
    from rich.table import Table

    game = optimum.game
    nights = f"Night {first}" if first == last else f"Nights {first} to {last}"
    if optimum.max_nights is None and last == len(optimum.decisions) - 1:
        nights = f"From night {first} on"
    table = Table(title=nights, title_justify="left")
    table.add_column("ruined", justify="right")
    # With no fire there is nothing to decide but the pastime, nearly always rest.
    idle_works = (game.idle_choice[0, :] != Pastime.REST).any()
    columns = range(0 if idle_works else 1, 1 + _most_fires(optimum, max_burning))
    for burning in columns:
        table.add_column(f"{burning} burning" if burning == columns[0] else str(burning))
    # Nothing is ruined before the first night.
    for ruined in range(1 if last == 0 else game.num_houses + (1 if idle_works else 0)):
        table.add_row(
            str(ruined),
            *(
                optimum.decision(first, burning, ruined).short()
                if burning + ruined <= game.num_houses
                else ""
                for burning in columns
            ),
        )
    return table


def _most_fires(optimum: Optimum, max_burning: int | None) -> int:
    game = optimum.game
    if max_burning is not None:
        return min(max(max_burning, 1), game.num_houses)
    # Chance of more than b fires, from the far end so that nothing cancels.
    more = np.cumsum(game.ignites[game.num_houses][::-1])[::-1]
    return max(1, int((more >= _RARE).sum()) - 1)


def _legend(optimum: Optimum) -> str:
    text = (
        "2+1: crews of two and one at two of the fires, the other fires are left to burn, "
        "everyone else rests."
    )
    if (optimum.game.idle_choice != Pastime.REST).any():
        text += " safe, ruin: the others work at a safe or a ruined house, for the shaping reward."
    return text
