"""What a person sees of a run: one live view in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from brigade.agent_numbers import format_agents
from brigade.config import RunConfig
from brigade.printable import printable
from brigade.sim.events import Progress
from brigade.sim.outliers import Outlier, sentences
from brigade.sim.roster import Lease
from brigade.sim.statistics import Statistics

LONG_WAIT_SECONDS = 3.0  # that a person wants to know the reason of


@dataclass
class Snapshot:
    """The figures of one moment."""

    episodes: int = 0
    transitions: int = 0
    share: float = 0.0
    returns: list[float] = field(default_factory=list)  # each agent's, over its last games
    lag: float = math.nan
    seconds: float = math.nan  # since the first game began
    waits: bool = False  # for a learner
    outliers: list[Outlier] = field(default_factory=list)  # agents unlike their peers

    @property
    def rates(self) -> tuple[float, float]:
        """Episodes and agent-transitions a second."""
        if not self.seconds > 0:
            return 0.0, 0.0
        return self.episodes / self.seconds, self.transitions / self.seconds

    @property
    def seconds_left(self) -> float:
        """Time until the end at this pace; NaN where nobody can tell."""
        if self.waits or not self.share:
            return math.nan
        return self.seconds * (1 - self.share) / self.share

    @property
    def known_returns(self) -> list[float]:
        """Returns of the agents that have finished a game."""
        return [value for value in self.returns if not math.isnan(value)]


class View:
    """Shows a run's progress, and at its end what came of it."""

    def __init__(self, config: RunConfig, console: Console) -> None:
        self._config = config
        self._console = console
        self._snapshot = Snapshot()
        self._first: list[float] = []
        self._status = "waiting for learners"
        self._remarked: set[str] = set()  # what was slow or gone at the last look
        self._odd: set[tuple[int, str]] = set()  # outliers that were told of
        self._next_line = config.log_interval
        self._live = Live(
            get_renderable=self._render,
            console=console,
            refresh_per_second=4,
            transient=True,
            redirect_stderr=sys.stderr.isatty(),
        )

    def __enter__(self) -> View:
        if self._console.is_terminal:
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

    def progress(self, progress: Progress) -> None:
        """Take a look at the run after a rollout."""
        statistics = progress.statistics
        long = progress.waited > LONG_WAIT_SECONDS and progress.remarks
        if not math.isnan(progress.seconds):
            self._status = progress.remarks[0] if long else "playing"
        self._remark(progress.remarks if long else [])
        self._warn(progress.outliers)
        self._snapshot = Snapshot(
            episodes=statistics.total_episodes,
            transitions=statistics.total_transitions,
            share=progress.share,
            returns=statistics.mean_returns(),
            lag=self._snapshot.lag,
            seconds=progress.seconds,
            waits=progress.waited > LONG_WAIT_SECONDS,
            outliers=progress.outliers,
        )
        if not self._first and self._snapshot.known_returns:
            self._first = self._snapshot.known_returns
        if not self._console.is_terminal and statistics.total_episodes >= self._next_line:
            interval = self._config.log_interval
            self._next_line = (statistics.total_episodes // interval + 1) * interval
            self.say(self._line())

    def _remark(self, remarks: list[str]) -> None:
        """Say what is slow or gone: once where there is no live view, while it stays the same."""
        kinds = {re.sub(r"[\d.]+(?= s\b)", "", remark): remark for remark in remarks}
        for kind, remark in kinds.items():
            if kind not in self._remarked and not self._console.is_terminal:
                self.say(remark)
        self._remarked = set(kinds)

    def _warn(self, outliers: list[Outlier]) -> None:
        """Name agents that are unlike their peers: each once where there is no live view."""
        new = [each for each in outliers if (each.agent, each.kind) not in self._odd]
        self._odd |= {(each.agent, each.kind) for each in new}
        if not self._console.is_terminal:
            for sentence in sentences(new):
                self.say(sentence)

    def _line(self) -> str:
        s = self._snapshot
        lag = "" if math.isnan(s.lag) else f"  lag {s.lag:.0f}"
        left = "" if math.isnan(s.seconds_left) else f"  {duration(s.seconds_left)} left"
        episodes, transitions = s.rates
        known = s.known_returns
        spread = f"({min(known):,.0f}..{max(known):,.0f})" if known else ""
        returns = f"  return {_mean(known):,.1f} {spread}" if known else ""
        return (
            f"{s.share:4.0%}  {s.episodes:,} episodes  {episodes:,.1f} episodes/s  "
            f"{transitions:,.0f} transitions/s{returns}{lag}{left}"
        )

    def _render(self) -> RenderableType:
        s, config = self._snapshot, self._config
        episodes, transitions = s.rates
        returns = s.known_returns
        title = Text.assemble(
            ("brigade  ", "bold"),
            (f"{config.run_name}", "cyan"),
            f"  {config.population_size} agents on {printable(config.scenario)}  ",
            (self._status, "dim"),
        )
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            ProgressBar(total=1.0, completed=s.share, width=36),
            f"{s.share:.0%}",
            f"{s.episodes:,} of {config.num_episodes:,} episodes",
            "" if math.isnan(s.seconds_left) else f"{duration(s.seconds_left)} left",
        )
        figures = Table.grid(padding=(0, 3))
        for _ in range(5):
            figures.add_column(justify="left")
        names = ("mean return", "agents from..to", "episodes/s", "transitions/s", "policy lag")
        figures.add_row(*(Text(name, style="dim") for name in names))
        figures.add_row(
            Text(f"{_mean(returns):,.1f}" if returns else "-", style="bold"),
            f"{min(returns):,.1f}..{max(returns):,.1f}" if returns else "-",
            f"{episodes:,.1f}",
            f"{transitions:,.0f}",
            "-" if math.isnan(s.lag) else f"{s.lag:.0f}",
        )
        odd = (Text(sentence, style="yellow") for sentence in sentences(s.outliers, 4))
        return Group(title, bar, figures, *odd)

    def closing(self, statistics: Statistics, versions: dict[int, int], where: str) -> None:
        """Print each agent's record, what was learned, and where it lies."""
        self._live.stop()
        table = Table(title=None, header_style="bold", show_edge=False, pad_edge=False)
        for name in ("agent", "games", "updates", "mean return", "last games"):
            table.add_column(name, justify="right")
        for agent, recent in enumerate(statistics.recent):
            values = list(recent)[-100:]
            table.add_row(
                str(agent),
                f"{statistics.match_counts[agent]:,}",
                str(versions.get(agent, 0)),
                f"{_mean(values):,.1f}" if values else "-",
                str(len(values)),
            )
        self._console.print(table)
        s = self._snapshot
        for sentence in sentences(s.outliers):
            self._console.print(Text(sentence, style="yellow"), soft_wrap=True)
        _, transitions = s.rates
        self.say(
            f"{s.episodes:,} games, {s.transitions:,} agent-transitions in "
            f"{duration(s.seconds)} ({transitions:,.0f} a second)"
        )
        if self._first and s.known_returns:
            self.say(
                f"mean return {_mean(self._first):,.1f} at first, {_mean(s.known_returns):,.1f} "
                f"at last (games cut at {self._config.max_nights} nights)"
            )
        self.say(where)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def duration(seconds: float) -> str:
    """Write a time for people: ``3 h 05 min``."""
    if math.isnan(seconds):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
