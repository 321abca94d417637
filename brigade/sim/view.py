"""What a person sees of a run: one live view in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from brigade.agent_numbers import format_agents
from brigade.config import RunConfig
from brigade.games.spec import GameSpec, Role
from brigade.printable import printable, shortened
from brigade.sim.cohorts import Cohort, cohort_size
from brigade.sim.events import Progress
from brigade.sim.lease_table import Lease
from brigade.sim.matchmaking import population_sizes
from brigade.sim.outliers import Outlier, sentences
from brigade.sim.pace import Mark, Pace
from brigade.sim.statistics import Statistics

LONG_WAIT_SECONDS = 3.0  # that a person wants to know the reason of
LINE_SECONDS = 10.0  # between two lines, where nobody asked for more of them
LONGEST_TABLE = 20  # rows; of a longer one, the SHOWN best and worst
SHOWN = 5
SHOWN_ROLES = 4  # in the live view


@dataclass
class Snapshot:
    """The figures of one moment."""

    episodes: int = 0
    transitions: int = 0
    share: float = 0.0
    lag: float = math.nan
    seconds: float = math.nan  # since the first game began
    waits: bool = False  # for a learner, and longer than usually
    cohort: Cohort | None = None  # the latest games of which all have ended
    outliers: list[Outlier] = field(default_factory=list)  # agents unlike their peers


class View:
    """Shows a run's progress, and at its end what came of it.

    Parameters
    ----------
    config, game, console
        The run, what is played, and where it is shown.
    log_interval
        Episodes between two lines where there is no live view, if the person asked for that:
        otherwise lines are also some seconds apart.
    resumed
        Whether the run went on from what an earlier process played.
    """

    def __init__(
        self,
        config: RunConfig,
        game: GameSpec,
        console: Console,
        *,
        log_interval: int | None = None,
        resumed: bool = False,
    ) -> None:
        self._config = config
        self._game = game
        self._console = console
        self._resumed = resumed
        self._animated = console.is_terminal and not console.is_dumb_terminal
        self._snapshot = Snapshot()
        self._pace = Pace()
        self._first: Cohort | None = None
        self._status = "waiting for learners"
        self._remarked: set[str] = set()  # what was slow or gone at the last look
        self._odd: set[tuple[int, str]] = set()  # outliers that were told of
        self._undone: Counter[int] = Counter()  # updates of each agent
        self._interval = log_interval or config.log_interval
        self._line_seconds = 0.0 if log_interval else LINE_SECONDS
        self._next_line = self._interval
        self._last_line = time.monotonic()
        self._live = Live(
            get_renderable=self._render,
            console=console,
            refresh_per_second=4,
            transient=True,
            redirect_stderr=sys.stderr.isatty(),
        )

    def __enter__(self) -> View:
        if self._animated:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """Print a line above the view."""
        self._console.print(Text(printable(line)), soft_wrap=True)

    def waiting(self, agents: list[int]) -> None:
        """Name the agents that have no learner."""
        if agents:
            self._status = f"waiting for a learner of {format_agents(agents)}"
            self.say(self._status)
        else:
            self._status = "playing"

    def joined(self, lease: Lease) -> None:
        """Tell of a learner that has come."""
        self.say(f"{lease.name} learns {format_agents(lease.agents)} on {lease.device}")

    def left(self, lease: Lease, why: str) -> None:
        """Tell of a learner that has gone."""
        self.say(f"{lease.name} ({format_agents(lease.agents)}) is gone: {why}")

    def lag(self, lags: list[float]) -> None:
        """Note the policy lag of the last update."""
        self._snapshot.lag = max(lags, default=math.nan)

    def diverged(self, agent: int, version: int, why: str) -> None:
        """Tell of an update that was undone."""
        self._undone[agent] += 1
        self.say(f"update {version} of agent {agent} was undone: {why}")

    def progress(self, progress: Progress) -> None:
        """Take a look at the run, after a rollout and now and then."""
        statistics, cohorts = progress.statistics, progress.cohorts
        long = progress.waited > LONG_WAIT_SECONDS and progress.remarks
        if not math.isnan(progress.seconds):
            self._status = progress.remarks[0] if long else "playing"
        self._remark(progress.remarks if long else [])
        self._warn(progress.outliers)
        episodes, transitions = statistics.total_episodes, statistics.total_transitions
        self._pace.note(
            Mark(progress.seconds, episodes, transitions, progress.share, progress.updates)
        )
        usual = self._pace.seconds_per_update
        self._snapshot = Snapshot(
            episodes=episodes,
            transitions=transitions,
            share=progress.share,
            lag=self._snapshot.lag,
            seconds=progress.seconds,
            waits=progress.waited > max(LONG_WAIT_SECONDS, 0 if math.isnan(usual) else 2 * usual),
            cohort=cohorts.latest,
            outliers=progress.outliers,
        )
        self._first = cohorts.first
        since = time.monotonic() - self._last_line
        if not self._animated and episodes >= self._next_line and since >= self._line_seconds:
            self._next_line = (episodes // self._interval + 1) * self._interval
            self._last_line += since
            self.say(self._line())

    def _remark(self, remarks: list[str]) -> None:
        """Say what is slow or gone: once where there is no live view, while it stays the same."""
        kinds = {re.sub(r"[\d.]+(?= s\b)", "", remark): remark for remark in remarks}
        for kind, remark in kinds.items():
            if kind not in self._remarked and not self._animated:
                self.say(remark)
        self._remarked = set(kinds)

    def _warn(self, outliers: list[Outlier]) -> None:
        """Name agents that are unlike their peers: each once where there is no live view."""
        new = [each for each in outliers if (each.agent, each.kind) not in self._odd]
        self._odd |= {(each.agent, each.kind) for each in new}
        if not self._animated:
            for sentence in sentences(new):
                self.say(sentence)

    def _line(self) -> str:
        s = self._snapshot
        episodes, transitions = self._pace.rates
        parts = [f"{s.share:4.0%}", self._goal()]
        if not math.isnan(episodes):
            parts += [f"{episodes:,.1f} episodes/s", f"{transitions:,.0f} transitions/s"]
        if s.cohort is not None:
            parts.append("return " + ", ".join(self._by_role(s.cohort)))
        if not math.isnan(s.lag):
            parts.append(f"lag {s.lag:.0f}")
        return "  ".join([*parts, *self._left()])

    def _goal(self) -> str:
        """How much has been done of what will decide the run's end."""
        s, config = self._snapshot, self._config
        limit = config.num_transitions
        if limit is not None and s.transitions / limit >= s.episodes / config.num_episodes:
            return f"{s.transitions:,} of {limit:,} transitions"
        return f"{s.episodes:,} of {config.num_episodes:,} episodes"

    def _left(self) -> list[str]:
        """Time until the end, where it can be told."""
        left = math.nan if self._snapshot.waits else self._pace.seconds_left
        return [] if math.isnan(left) else [f"{duration(left)} left"]

    def _by_role(self, cohort: Cohort) -> list[str]:
        """Mean return of each role, and those of its worst and its best agent."""
        said = []
        for role in self._game.roles:
            mine = cohort.of(role.seats)
            means = self._means(mine)
            name = "" if len(self._game.roles) == 1 else f"{_title(role)} "
            spread = f"({_short(min(means))}..{_short(max(means))})"
            said.append(f"{name}{figure(mine.mean)} {spread}")
        return said

    def _means(self, cohort: Cohort) -> list[float]:
        """Mean returns of the agents that played in a cohort."""
        means, games = cohort.by_agent(self._config.num_agents)
        return [float(mean) for mean in means[games > 0]]

    def _render(self) -> RenderableType:
        s, config = self._snapshot, self._config
        episodes, transitions = self._pace.rates
        title = Text.assemble(
            ("brigade  ", "bold"),
            (shortened(f"{config.run_name}"), "cyan"),
            f"  {config.num_agents} agents on {shortened(printable(self._game.name))}  ",
            (self._status, "dim"),
        )
        bar = Table.grid(padding=(0, 2))
        width = min(36, self._console.width - 6)
        bar.add_row(ProgressBar(total=1.0, completed=s.share, width=width), f"{s.share:.0%}")
        figures = {
            **self._returns(),
            "episodes/s": "-" if math.isnan(episodes) else f"{episodes:,.1f}",
            "transitions/s": "-" if math.isnan(transitions) else f"{transitions:,.0f}",
            "policy lag": "-" if math.isnan(s.lag) else f"{s.lag:.0f}",
        }
        cells = (Text.assemble((f"{name}\n", "dim"), value) for name, value in figures.items())
        odd = (Text(sentence, style="yellow") for sentence in self._remarkable(4))
        return Group(
            title,
            bar,
            Text("  ".join([self._goal(), *self._left()])),
            Columns(cells, padding=(0, 3)),
            *odd,
        )

    def _returns(self) -> dict[str, str]:
        """What the latest games returned: of the one role with its spread, or of each role."""
        cohort, roles = self._snapshot.cohort, self._game.roles
        if len(roles) > 1:
            return {
                _title(role): "-" if cohort is None else figure(cohort.of(role.seats).mean)
                for role in roles[:SHOWN_ROLES]
            }
        if cohort is None:
            return {"mean return": "-", "agents from..to": "-"}
        means = self._means(cohort)
        return {
            "mean return": figure(cohort.mean),
            "agents from..to": f"{figure(min(means))}..{figure(max(means))}",
        }

    def _remarkable(self, most: int = 8) -> list[str]:
        """Sentences about agents that are unlike their peers, or diverged."""
        undone = [
            f"{count} update{'s' * (count > 1)} of agent {agent} diverged and "
            f"{'were' if count > 1 else 'was'} undone"
            for agent, count in self._undone.most_common(most)
        ]
        if len(self._undone) > most:
            undone[-1] = f"updates of {len(self._undone) - most + 1} more agents were undone"
        return sentences(self._snapshot.outliers, most) + undone

    def closing(self, statistics: Statistics, versions: dict[int, int], where: str) -> None:
        """Print each agent's record, what was learned, and where it lies."""
        self._live.stop()
        s = self._snapshot
        if self._config.num_agents > LONGEST_TABLE:
            self._console.print(self._summary(), highlight=False)
        self._console.print(self._table(statistics, versions))
        for sentence in self._remarkable():
            self._console.print(Text(sentence, style="yellow"), soft_wrap=True)
        # What is kept, and not what was played beyond it.
        games, transitions = statistics.total_episodes, statistics.total_transitions
        pace = f" ({transitions / s.seconds:,.0f} a second)" if s.seconds > 0 else ""
        self.say(
            f"{games:,} games, {transitions:,} agent-transitions in {duration(s.seconds)}{pace}"
        )
        self.say(self._comparison())
        self.say(where)

    def _comparison(self) -> str:
        """What games returned at first and at last: of those that began together."""
        first, last = self._first, self._snapshot.cohort
        since = " since it went on" if self._resumed else ""
        if first is None or last is None:
            size = cohort_size(self._config)
            return f"mean return unknown: the first {size:,} games{since} have not all ended"
        said = f"mean return {self._mean(first)} in the first {len(first.cut):,} games{since}"
        said += self._cut(first)
        if last is not first:
            said += f"; {self._mean(last)} in the latest {len(last.cut):,} that have all ended"
            said += self._cut(last)
        return said

    def _mean(self, cohort: Cohort) -> str:
        """Mean return with its interval: of the one role, or of each."""
        if len(self._game.roles) == 1:
            return _mean(cohort)
        return ", ".join(
            f"{_title(role)} {_mean(cohort.of(role.seats))}" for role in self._game.roles
        )

    def _cut(self, cohort: Cohort) -> str:
        if not cohort.cut.any():
            return ""
        limit = self._config.max_turns  # games that failed are cut without one
        at = "" if limit is None else f" at {limit} {self._game.turn}s"
        return f" ({cohort.cut.mean():.0%} cut{at})"

    def _summary(self) -> str:
        """Say which agents the table has, and what those are like that it has not."""
        known = [] if self._snapshot.cohort is None else self._means(self._snapshot.cohort)
        median = f", whose median return is {np.median(known):,.1f}" if known else ""
        return f"the {SHOWN} best and the {SHOWN} worst of {self._config.num_agents} agents{median}"

    def _table(self, statistics: Statistics, versions: dict[int, int]) -> Table:
        """A row for each agent; of many, ranked, the best and the worst."""
        size, cohort = self._config.num_agents, self._snapshot.cohort
        means, games = np.full(size, np.nan), np.zeros(size, np.int64)
        if cohort is not None:
            means, games = cohort.by_agent(size)
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        roles = [
            role.name
            for role, count in zip(
                self._game.roles, population_sizes(self._config, self._game), strict=True
            )
            for _ in range(count)
        ]
        several = len(self._game.roles) > 1
        table.add_column("agent", justify="right", overflow="fold")
        if several:
            table.add_column("role")
        for name in ("games", "updates", "mean\nreturn", "in\ngames"):
            table.add_column(name, justify="right", overflow="fold")

        def add(agent: int) -> None:
            table.add_row(
                str(agent),
                *([shortened(printable(roles[agent]))] if several else []),
                f"{statistics.match_counts[agent]:,}",
                str(versions.get(agent, 0)),
                "-" if math.isnan(means[agent]) else figure(means[agent]),
                str(games[agent]),
            )

        if size <= LONGEST_TABLE:
            for agent in range(size):
                add(agent)
            return table
        ranked = np.argsort(-means, kind="stable").tolist()  # those that did not play come last
        for agent in ranked[:SHOWN]:
            add(agent)
        table.add_row("...", *[""] * several, "", "", "...", "")
        for agent in ranked[-SHOWN:]:
            add(agent)
        return table


def _title(role: Role) -> str:
    return shortened(printable(role.name))


def _mean(cohort: Cohort) -> str:
    digits = _digits(cohort.mean)
    return f"{figure(cohort.mean)} ±{cohort.interval:,.{digits}f}"


def figure(value: float) -> str:
    """Write a return: with two decimals where it is small, else with one."""
    return f"{value:z,.{_digits(value)}f}"


def _short(value: float) -> str:
    return f"{value:z,.{_digits(value) - 1}f}"


def _digits(value: float) -> int:
    return 2 if abs(value) < 10 else 1


def duration(seconds: float) -> str:
    """Write a time for people: ``3 h 05 min``."""
    if math.isnan(seconds):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
