"""``brigade check-env``: plays an environment, and tells a person what it is like."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from brigade import interrupt
from brigade.games.pettingzoo.check import ROLLOUT_TRANSITIONS, check
from brigade.games.pettingzoo.finding import FORMS, find
from brigade.games.pettingzoo.findings import Check, RoleCheck, findings
from brigade.printable import printable, shortened
from brigade.run.process import without_windows

MOST_ODDITIES = 4  # shown


class CheckEnvConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which environment to check, and for how long."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("env",)

    env: Annotated[str, Meta(description=FORMS)]
    env_arg: Annotated[
        dict[str, Any],
        Meta(description="an argument of the environment; may be given several times"),
    ] = {}
    reward_weights: Annotated[
        list[float], Meta(description="what the parts of a vector of rewards are worth: 1,0.5")
    ] = []
    seconds: Annotated[float, Meta(gt=0, le=3600, description="how long to play it, about")] = 10.0
    json: Annotated[bool, Meta(description="one line of JSON")] = False


def run_check_env(config: CheckEnvConfig) -> int:
    """Check and print; return 1 where the environment failed.

    Raises
    ------
    EnvironmentUnusable
        There is no such environment, or none that can be trained on.
    """
    without_windows()
    # What the environment itself prints or warns of is not part of the answer.
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maker = find(config.env, config.env_arg)
        found = check(maker, config.seconds, tuple(config.reward_weights) or None, _clock)
    if config.json:
        print(json.dumps(content(found), allow_nan=False))
    else:
        Console().print(describe(found))
    return 1 if found.failure else 0


def content(found: Check) -> dict[str, Any]:
    """Write what was found as plain values."""
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain | {"findings": msgspec.to_builtins(findings(found))}


def describe(found: Check) -> RenderableType:
    """Show what was found to people: what it is, how it went, and what to do about it."""
    num_agents = sum(len(role.agents) for role in found.roles)
    kind = "turn-based" if found.turn_based else "parallel"
    title = "" if found.title in found.name else f"  {found.title}"
    head = Text.assemble(
        (printable(found.name), "bold"),
        (printable(title), "dim"),
        f"  {kind}, {_count(num_agents, 'agent')}, {_count(len(found.roles), 'role')}",
    )
    roles = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("role", "agents", "observes", "features", "acts"):
        roles.add_column(name, overflow="fold", justify="right" if name == "features" else "left")
    for role in found.roles:
        masked = ", masked" if role.masked else ""
        cells = (role.name, _agents(role.agents), role.observes, _features(role))
        roles.add_row(*map(_text, (*cells, role.acts + masked)))
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(ratio=1)
    for name, fact in _facts(found):
        facts.add_row(name, _text(fact))
    return Group(head, "", roles, "", facts, "", _verdict(found))


def _facts(found: Check) -> Iterator[tuple[str, str]]:
    unit = "turns" if found.turn_based else "steps"
    if found.rate is not None:
        games = f", {found.rate.num_games} games side by side" if found.rate.num_games > 1 else ""
        yield (
            "rate",
            f"{_rounded(found.rate.alone)} {unit}/s alone, {_rounded(found.rate.in_brigade)} "
            f"in brigade ({found.rate.ratio:.2f}{games})",
        )
    yield (
        "observations",
        f"{_bytes(found.observation_bytes)} a {unit[:-1]}; {_bytes(found.rollout_bytes)} in a "
        f"rollout of {ROLLOUT_TRANSITIONS:,} transitions",
    )
    episodes = found.episodes
    if episodes is not None and episodes.lengths is not None:
        least, mean, most = episodes.lengths
        length = f"{least:,}" if least == most else f"{least:,} to {most:,} (mean {mean:,.1f})"
        ends = ", ".join(f"{count:,} {end}" for end, count in episodes.ends.items())
        if len(episodes.ends) == 1:
            [end] = episodes.ends
            ends = {"mixed": "terminated and truncated"}.get(end, f"all {end}")
        yield "episodes", f"{episodes.ended:,} of {length} {unit}; {ends}"
        yield (
            "lives",
            f"{_none(episodes.deaths, 'death')} before the end, "
            f"{_none(episodes.arrivals, 'late arrival')}",
        )
        returns = (f"{role} {mean:.3g}" for role, mean in episodes.returns.items())
        yield "returns", f"{', '.join(returns)} (mean of an agent, random play)"
    elif episodes is not None:
        yield "episodes", f"none ended in {episodes.longest:,} {unit}"
    if found.repeats:
        said = (f"{r.how} {'yes' if r.difference is None else 'NO'}" for r in found.repeats)
        first = found.repeats[0]
        whole = "a whole episode" if first.whole else f"the first {_count(first.steps, unit[:-1])}"
        seed = "; every seed gives the same" if found.seed_matters is False else ""
        yield "repeats", f"{', '.join(said)} ({whole}{seed})"
    if found.make_seconds >= 0.1:
        yield "making one", f"{found.make_seconds:.1f} s"
    for note in found.notes:
        yield "note", note
    for sentence, count, where in found.oddities[:MOST_ODDITIES]:
        yield "oddity", f"{sentence}: {count:,} times, first {where}"


def _verdict(found: Check) -> RenderableType:
    rows = Table.grid(padding=(0, 1))
    concluded = findings(found)
    for finding in concluded:
        mark = Text("·", style="dim") if finding.harmless else Text("!", style="bold red")
        rows.add_row(mark, _text(finding.sentence, "" if finding.harmless else "yellow"))
    if not concluded:
        rows.add_row(Text("✓", style="bold green"), Text("nothing to remark"))
    return rows


def _text(others: str, style: str = "") -> Text:
    """Show what others may have written."""
    return Text(printable(others), style=style)


def _features(role: RoleCheck) -> str:
    """What an observation is kept as: its numbers, and the sizes of its pictures."""
    shapes = ["x".join(map(str, shape)) for shape in role.pictures]
    numbers = [f"{role.num_features:,}"] if role.num_features or not shapes else []
    return " + ".join([*numbers, *shapes])


def _agents(agents: tuple[str, ...]) -> str:
    if len(agents) <= 3:
        return ", ".join(agents)
    return f"{len(agents)}, {shortened(agents[0], 20)} to {shortened(agents[-1], 20)}"


def _clock() -> float:
    interrupt.check()
    return time.perf_counter()


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _none(number: int, what: str) -> str:
    return _count(number, what) if number else f"no {what}"


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _bytes(number: int) -> str:
    if number < 1000:
        return f"{number} bytes"
    unit, size = next((u, s) for u, s in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)) if number >= s)
    return f"{number / size:.3g} {unit}"
