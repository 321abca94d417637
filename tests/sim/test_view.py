"""What a person sees of a run that plays, and of one that waits."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from brigade.config import RunConfig
from brigade.sim.events import Progress
from brigade.sim.outliers import Outlier
from brigade.sim.statistics import Statistics
from brigade.sim.view import LONG_WAIT_SECONDS, View

CONFIG = RunConfig(run_name="some", num_episodes=100, log_interval=10, population_size=4)


def view(*, terminal: bool = False) -> tuple[View, Console]:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    return View(CONFIG, console), console


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def progress(episodes: int, *, waited: float = 0.0, seconds: float = 8.0, **others) -> Progress:
    statistics = Statistics(4)
    statistics.total_episodes = episodes
    statistics.total_transitions = 100 * episodes
    remarks, outliers = others.get("remarks", []), others.get("outliers", [])
    return Progress(statistics, episodes / 100, seconds, waited, remarks, outliers)


def test_nothing_is_told_that_nobody_knows():
    here, console = view()
    here.progress(progress(0, seconds=math.nan))
    here.progress(progress(20))
    [line] = said(console).splitlines()
    assert "20 episodes" in line
    assert "nan" not in line
    assert "lag" not in line, "there was no update yet"
    assert line.endswith("32 s left")


@pytest.mark.parametrize("terminal", [False, True])
def test_who_is_waited_for_is_said_and_the_end_not_foretold(terminal):
    here, console = view(terminal=terminal)
    here.progress(progress(20))

    def remark(seconds: int) -> str:
        return f"agents 0-3 have no learner and the run has waited {seconds} s for one"

    for seconds in (5, 6, 7):
        here.progress(progress(30, waited=float(seconds), remarks=[remark(seconds)]))
    if terminal:
        console.print(here._render())
        shown = said(console)
        assert remark(7) in shown
        assert "left" not in shown
        assert "playing" not in shown
    else:
        assert said(console).count("no learner") == 1, "once while it stays the same"
        assert "left" not in said(console).splitlines()[-1]
    here.progress(progress(60))
    if terminal:
        console.print(here._render())
        assert "playing" in said(console)
    here.progress(progress(70, waited=5.0, remarks=[remark(5)]))
    assert terminal or said(console).count("no learner") == 2


def test_of_two_that_are_silent_both_are_named():
    here, console = view()
    silent = (
        "learner-{} (agents {}-{} on cpu) has been silent for {} s; it counts as lost after 15 s"
    )
    one, two = ([silent.format(n, 4 * n, 4 * n + 3, s) for s in (5, 6, 7)] for n in (0, 1))
    for remarks in ([one[0]], [one[1], two[0]], [two[2]]):
        here.progress(progress(30, waited=5.0, remarks=remarks))
    assert [line.split()[0] for line in said(console).splitlines() if "silent" in line] == [
        "learner-0",
        "learner-1",
    ]


def test_a_short_wait_is_nobodys_business():
    here, console = view()
    remarks = ["the run has waited 2 s for box (agents 0-3 on cpu), whose last update took 1 s"]
    here.progress(progress(30, waited=LONG_WAIT_SECONDS - 1, remarks=remarks))
    [line] = said(console).splitlines()
    assert line.endswith("left")


@pytest.mark.parametrize("terminal", [False, True])
def test_each_outlier_is_named_once_and_at_the_end_if_it_still_is_one(terminal):
    here, console = view(terminal=terminal)
    idle, behind = Outlier(1, "idle", "agent 1 rests"), Outlier(3, "behind", "agent 3 lags")
    for outliers in ([], [idle], [idle, behind], [behind], [idle, behind]):
        here.progress(progress(5, outliers=outliers))
    if terminal:
        assert said(console) == ""
        console.print(here._render())
    for outlier in (idle, behind):
        assert said(console).count(outlier.sentence) == 1
    here.progress(progress(6, outliers=[behind]))
    here.closing(Statistics(4), {}, "it lies there")
    assert said(console).count(idle.sentence) == 1
    assert said(console).count(behind.sentence) == 2


def test_of_many_outliers_a_few_are_named():
    here, console = view()
    here.progress(
        progress(5, outliers=[Outlier(i, "idle", f"agent {i} rests") for i in range(300)])
    )
    lines = said(console).splitlines()
    assert lines[0] == "agent 0 rests"
    assert lines[-1] == "and 293 more that are unlike their peers"
    assert len(lines) == 8
