"""Scenarios in a table, and one of them in words: what pays, what it costs."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brigade._core import Scenario, named_scenario, scenario_names
from brigade.env.scenarios import load_scenario

__all__ = ["describe", "explain_scenario", "list_scenarios"]

Value = float | Sequence[float]

_TITLES = ("houses", "nights", "catch", "put out", "team", "own house", "work/rest")
_WIDE = 130


def list_scenarios(console: Console | None = None) -> None:
    """Print the named scenarios with the parameters that set them apart."""
    console = console or Console()
    scenarios = [named_scenario(name) for name in scenario_names()]
    if console.width < _WIDE:
        for scenario in scenarios:
            console.print(f"[bold]{scenario.name}[/]  {scenario.description}", highlight=False)
            pairs = zip(_TITLES, _facts(scenario), strict=True)
            facts = ", ".join(f"{title} {fact}" for title, fact in pairs)
            console.print(Padding(facts, (0, 0, 0, 4)), style="dim", highlight=False)
    else:
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("scenario", no_wrap=True)
        for title in _TITLES:
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("what it is about", ratio=1)
        for scenario in scenarios:
            table.add_row(scenario.name, *_facts(scenario), scenario.description)
        console.print(table)
    console.print(
        "\ncatch: chance that a safe house catches fire in a night; put out: what one worker does "
        "to a fire in a night; team: reward with all houses safe, with all ruined; own house: "
        "saved, ruined for a night. [bold]brigade scenarios show NAME[/] explains one.",
        highlight=False,
    )


def _facts(scenario: Scenario) -> list[str]:
    """Give what :data:`_TITLES` name."""
    return [
        str(scenario.num_houses),
        f"{scenario.min_nights + 1}+",
        _percent(scenario.prob_house_catches_fire),
        f"wear {_percent(scenario.suppression_per_worker)}"
        if scenario.extinguish_mode == "continuous"
        else _percent(scenario.prob_solo_agent_extinguishes_fire),
        _pair(scenario.team_reward_house_survives, scenario.team_penalty_house_burns),
        _pair(scenario.reward_own_house_survives, scenario.penalty_own_house_burns),
        f"{-scenario.cost_to_work_one_night:g}/{scenario.reward_rest:+g}",
    ]


def explain_scenario(
    name: str | os.PathLike[str] | Scenario, console: Console | None = None
) -> None:
    """Print one scenario in words, then all its parameters.

    Parameters
    ----------
    name
        A name, a scenario file or a :class:`brigade.Scenario`.
    console
        Where to print.
    """
    console = console or Console()
    scenario = load_scenario(name)
    description = f": {scenario.description}" if scenario.description else ""
    console.print(Text.assemble((scenario.name, "bold"), description))
    for title, sentences in describe(scenario).items():
        console.print(f"\n[bold]{title}[/]")
        for sentence in sentences:
            console.print(f"  {sentence}", highlight=False, markup=False)
    console.print("\n[bold]Parameters[/]")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
    for key, value in scenario.to_dict().items():
        table.add_row("", key, str(value))
    console.print(table, highlight=False)


def describe(scenario: Scenario) -> dict[str, list[str]]:
    """Say what a scenario is like.

    Returns
    -------
    dict[str, list[str]]
        Sentences under three titles.
    """
    return {
        "The game": _game(scenario),
        "What pays": _pays(scenario),
        "What it costs": _costs(scenario),
    }


def _game(s: Scenario) -> list[str]:
    """Describe nights and fires."""
    sentences = [
        f"A ring of {s.num_houses} houses, played for at least {s.min_nights + 1} nights; then it "
        "ends with the first night that leaves all houses safe or all ruined.",
        f"A safe house catches fire with a chance of {_percent(s.prob_house_catches_fire)} a night"
        + ("." if s.prob_house_catches_fire else ": nothing ever burns."),
    ]
    if s.extinguish_mode == "bernoulli":
        p = s.prob_solo_agent_extinguishes_fire
        chances = ", ".join(
            f"{words} {_percent(1 - (1 - p) ** workers)}"
            for workers, words in ((1, "one worker"), (2, "two"), (3, "three"))
        )
        sentences += [
            f"A fire is put out in its first night or the house is lost for good: {chances}.",
            "So no fire lives long enough to spread to the neighbours.",
        ]
    else:
        sentences += [
            f"A fire burns until it is worn down: each worker takes "
            f"{_percent(s.suppression_per_worker)} of it in a night, and what is done stays done.",
            "Until then it sets each safe neighbour on fire with a chance of "
            f"{_percent(s.prob_fire_spreads_to_neighbor)} a night. No house is ever lost for good.",
        ]
    if s.commitment_mode == "two_phase":
        sentences.append(
            "Each night has two steps: first all say whether they will work; nothing binds them."
        )
    sentences.append("With its action each agent signals whether it works, truly or not.")
    if s.action_validity_mode == "adjacent_only":
        sentences.append("Agents reach only their home and the houses beside it.")
    return sentences


def _pays(s: Scenario) -> list[str]:
    """Describe the rewards."""
    sentences = [
        f"Everybody gets {s.team_reward_house_survives:g} a night times the share of safe houses: "
        f"{s.team_reward_house_survives / s.num_houses:g} for each of them.",
        f"Resting gives {s.reward_rest:g} a night.",
    ]
    own, other = s.reward_own_house_survives, s.reward_other_house_survives
    if _any(own) or _any(other):
        sentences.append(
            f"A fire put out gives {_words(own)} to the house's owner and {_words(other)} to each "
            "of the others."
        )
    if s.progress_shaping_coef:
        sentences.append(
            f"Shaping: {s.progress_shaping_coef:+g} to all for each more safe house than the night "
            "before."
        )
    if s.action_shaping_alpha:
        sentences.append(
            f"Shaping: {s.action_shaping_alpha:+g} shared by those who put out a fire."
        )
    if s.action_shaping_beta:
        sentences.append(
            f"Shaping: {s.action_shaping_beta:+g} to each worker at a house that was and stays "
            "safe."
        )
    if s.team_welfare_kind != "none":
        sentences.append(
            f"Shaping: {s.team_welfare_lambda:g} times the change of the team's welfare "
            f"(discount {s.team_welfare_gamma:g}), to all."
        )
    return sentences


def _costs(s: Scenario) -> list[str]:
    """Describe the costs, and what they mean beside the rewards."""
    price = s.cost_to_work_one_night + s.reward_rest
    far = s.distance_cost_alpha
    sentences = [
        f"Working costs {s.cost_to_work_one_night:g} a night, {price:g} less than resting"
        + (f", and {far:g} for each step between the house and home." if far else "."),
    ]
    if s.extinguish_mode == "continuous":
        return [
            *sentences,
            f"A burning house is {s.team_reward_house_survives / s.num_houses:g} less for "
            "everybody, every night that it burns.",
        ]
    sentences.append(
        f"Ruined houses cost everybody {s.team_penalty_house_burns:g} a night times their share: "
        f"{s.team_penalty_house_burns / s.num_houses:g} for each of them."
    )
    own, other = s.penalty_own_house_burns, s.penalty_other_house_burns
    if _any(own) or _any(other):
        sentences.append(
            f"Each ruined house costs its owner {_words(own)} more and each of the others "
            f"{_words(other)} more, every night."
        )
    team = (s.team_reward_house_survives + s.team_penalty_house_burns) / s.num_houses
    mine, theirs = (
        " to ".join(f"{team + value:g}" for value in sorted(set(_range(penalty))))
        for penalty in (own, other)
    )
    chance = _percent(s.prob_solo_agent_extinguishes_fire)
    sentences.append(
        f"So a house lost is {mine} less for its owner and {theirs} less for each of the others, "
        f"every night to the end. One worker at its fire saves it with a chance of {chance}."
    )
    return sentences


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _pair(gain: Value, loss: Value) -> str:
    return f"{_words(gain, '+')}/{_words(loss, '-')}"


def _words(value: Value, sign: str = "") -> str:
    """Give a number, or the range of those of several seats."""
    low, high = _range(value)
    return f"{sign}{low:g}" if low == high else f"{sign}{low:g} to {sign}{high:g} (by seat)"


def _range(value: Value) -> tuple[float, float]:
    if isinstance(value, Sequence):
        return min(value), max(value)
    return float(value), float(value)


def _any(value: Value) -> bool:
    return _range(value) != (0.0, 0.0)
