"""What a person sees of a run that plays, and of one that waits."""

from __future__ import annotations

import io
import math
import re

import numpy as np
import pytest
from rich.console import Console

from brigade.config import RunConfig
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.sim import view as view_module
from brigade.sim.cohorts import Cohort, Cohorts
from brigade.sim.events import Progress
from brigade.sim.outliers import Outlier
from brigade.sim.statistics import Statistics
from brigade.sim.view import LINE_SECONDS, LONG_WAIT_SECONDS, LONGEST_TABLE, View

GAME = describe(load_scenario("trivial_cooperation"), 4)


def config(**others) -> RunConfig:
    usual = {"run_name": "some", "num_episodes": 100, "log_interval": 10, "population_size": 4}
    return RunConfig(**(usual | others))


def view(
    *, terminal: bool = False, width: int = 120, resumed: bool = False, **settings
) -> tuple[View, Console]:
    """A view that says a line every ten episodes where there is no terminal."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)
    return View(config(**settings), GAME, console, log_interval=10, resumed=resumed), console


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def shown(here: View, console: Console) -> str:
    """What the live view looks like now."""
    with console.capture() as capture:
        console.print(here._render())
    return capture.get()


def cohort(
    returns: float, games: int = 100, *, cut: float = 0.0, agents: int = 4, spread: float = 0.0
) -> Cohort:
    """Games in which agent i of so many returned ``returns + i * spread``."""
    seats = np.arange(games * 4).reshape(games, 4) % agents
    return Cohort(seats, returns + spread * seats, np.arange(games) < cut * games)


def cohorts(first: Cohort | None = None, latest: Cohort | None = None) -> Cohorts:
    known = Cohorts(100)
    known.first, known.latest = first, latest or first
    return known


def progress(
    episodes: int, *, waited: float = 0.0, seconds: float = 8.0, share: float | None = None,
    updates: int = 0, remarks=(), outliers=(), agents: int = 4, known: Cohorts | None = None,
    transitions: int | None = None,
) -> Progress:  # fmt: skip
    statistics = Statistics(agents)
    statistics.total_episodes = episodes
    statistics.total_transitions = 100 * episodes if transitions is None else transitions
    share = episodes / 100 if share is None else share
    return Progress(
        statistics, share, seconds, updates, waited, list(remarks), known or cohorts(),
        list(outliers),
    )  # fmt: skip


def learned(here: View) -> None:
    """Let two updates come back, eight seconds apart, for ten episodes each."""
    here.progress(progress(0, seconds=0.0))
    here.progress(progress(1, seconds=8.0, updates=1))
    here.progress(progress(11, seconds=16.0, updates=2))


def test_nothing_is_told_that_nobody_knows():
    here, console = view()
    here.progress(progress(0, seconds=math.nan))
    here.progress(progress(20))
    [line] = said(console).splitlines()
    assert line.split("  ")[1:] == ["20 of 100 episodes"]
    here.progress(progress(30, seconds=18.0))
    assert said(console).splitlines()[-1].split("  ")[1:] == [
        "30 of 100 episodes",
        "1.0 episodes/s",
        "100 transitions/s",
    ], "there was no update yet, and no games have ended that began together"
    here.closing(Statistics(4), {}, "it lies there")
    assert "nan" not in said(console)
    assert "mean return unknown: the first 100 games have not all ended" in said(console)


def test_the_end_is_foretold_from_the_updates():
    here, console = view()
    learned(here)
    assert said(console).splitlines()[-1].endswith("1 min 11 s left")
    here.progress(progress(21, seconds=24.0, updates=3))
    assert said(console).splitlines()[-1].endswith("1 min 03 s left")


def test_a_wait_as_long_as_usual_is_no_reason_not_to_foretell_the_end():
    here, console = view()
    learned(here)
    here.progress(progress(21, seconds=24.0, updates=3, waited=8.0, remarks=["box is slow"]))
    assert said(console).splitlines()[-1].endswith("left")
    here.progress(progress(31, seconds=32.0, updates=3, waited=17.0, remarks=["box is slow"]))
    assert "left" not in said(console).splitlines()[-1]


@pytest.mark.parametrize("terminal", [False, True])
def test_what_decides_the_end_is_counted(terminal):
    here, console = view(terminal=terminal, num_episodes=1_000_000, num_transitions=50_000)
    for episodes, transitions, expected in (
        (100, 20_000, "20,000 of 50,000 transitions"),
        (900_000, 30_000, "900,000 of 1,000,000 episodes"),
    ):
        here.progress(progress(episodes, share=0.5, transitions=transitions))
        text = shown(here, console) if terminal else said(console).splitlines()[-1]
        assert expected in text
        assert text.count(" of ") == 1


def test_at_first_and_at_last_are_games_that_began_together():
    here, console = view()
    known = cohorts(cohort(-400, cut=0.25), cohort(1000, 200, cut=0.9))
    here.progress(progress(50, known=known))
    here.closing(Statistics(4), {}, "it lies there")
    assert (
        "mean return -400.0 ±0.0 in the first 100 games (25% cut at 50 nights); "
        "1,000.0 ±0.0 in the latest 200 that have all ended (90% cut at 50 nights)"
    ) in said(console)


def test_one_figure_is_not_told_twice():
    here, console = view(resumed=True)
    here.progress(progress(50, known=cohorts(cohort(7))))
    here.closing(Statistics(4), {}, "it lies there")
    assert "mean return 7.00 ±0.00 in the first 100 games since it went on\n" in said(console)
    assert "latest" not in said(console)


def test_lines_are_seconds_apart_where_nobody_asked_for_more(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(view_module.time, "monotonic", lambda: now)
    console = Console(file=io.StringIO(), width=120)
    here = View(config(num_episodes=100_000), GAME, console)
    for episodes in range(0, 20_000, 20):  # for 100 s
        now += 0.1
        here.progress(progress(episodes, share=0.1))
    assert len(said(console).splitlines()) == pytest.approx(100 / LINE_SECONDS, abs=1)
    before = said(console)
    for _ in range(1000):
        now += 0.1
        here.progress(progress(19_980, share=0.1))
    assert len(said(console).splitlines()) <= len(before.splitlines()) + 1, "nothing is played"


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    here, console = view(terminal=True)
    with here:
        here.progress(progress(20))
        here.say("something")
    assert said(console) == " 20%  20 of 100 episodes\nsomething\n"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_figure_is_cut_on_a_narrow_screen(width):
    here, console = view(terminal=True, width=width, num_episodes=9_999_999)
    ours = cohort(-12345.6, spread=-1000.1)
    for i in range(4):
        here.progress(
            progress(1_234_567, share=0.12, updates=i, seconds=9.0 * i, known=cohorts(ours),
                     transitions=10**9 * (i + 1))
        )  # fmt: skip
    live = shown(here, console)
    statistics = Statistics(4)
    statistics.match_counts[:] = 1_234_567
    statistics.total_episodes = 1_234_567
    here.closing(statistics, dict.fromkeys(range(4), 12345), "it lies there")
    assert all(len(line) <= width for line in live.splitlines())
    for figure in ("1,234,567 of 9,999,999", "-13,845.8", "-15,345.9..-12,345.6", "111,111,111"):
        assert figure in " ".join(live.split())
    table = said(console).split("it lies there")[0]
    assert table.count("1,234,567") == 5
    for figure in ("-12,345.6", "-13,345.7", "12345"):
        assert figure in table
    assert "…" not in live + table


@pytest.mark.parametrize("agents", [LONGEST_TABLE, LONGEST_TABLE + 1, 64])
@pytest.mark.parametrize("together", [True, False])
def test_a_long_table_is_ranked_and_cut(agents, together):
    here, console = view(population_size=agents)
    ours = cohort(0, 32, agents=agents, spread=-1.0) if together else None
    here.progress(progress(5, agents=agents, known=cohorts(ours)))
    here.closing(Statistics(agents), {}, "it lies there")
    text = said(console)
    rows = re.findall(r"^ +(\d+) +0 ", text, re.MULTILINE)
    if agents <= LONGEST_TABLE:
        assert rows == [str(agent) for agent in range(agents)]
    else:
        best = [*range(5), *range(agents - 5, agents)]
        assert rows == [str(agent) for agent in best]
        assert f"the 5 best and the 5 worst of {agents} agents" in text
        assert ("median return" in text) == together


def test_agents_whose_updates_were_undone_are_named_while_it_runs_and_at_its_end():
    here, console = view(terminal=True, population_size=64)
    for agent in (3, 7, 3):
        here.diverged(agent, 9, "its loss is not finite")
    sentences = ["2 updates of agent 3 diverged", "1 update of agent 7 diverged"]
    live = shown(here, console)
    here.closing(Statistics(64), {}, "it lies there")
    for sentence in sentences:
        assert sentence in live
        assert sentence in said(console)
    for agent in range(64):
        here.diverged(agent, 9, "its loss is not finite")
    assert len(shown(here, console).splitlines()) < 12


@pytest.mark.parametrize("terminal", [False, True])
def test_who_is_waited_for_is_said_and_the_end_not_foretold(terminal):
    here, console = view(terminal=terminal)
    learned(here)

    def remark(seconds: int) -> str:
        return f"agents 0-3 have no learner and the run has waited {seconds} s for one"

    for seconds in (5, 6, 7):
        waits = {"waited": 20.0 + seconds, "seconds": 36.0 + seconds, "updates": 2}
        here.progress(progress(30, remarks=[remark(seconds)], **waits))
    if terminal:
        text = shown(here, console)
        assert remark(7) in " ".join(text.split())
        assert "left" not in text
        assert "playing" not in text
    else:
        assert said(console).count("no learner") == 1, "once while it stays the same"
        assert "left" not in said(console).splitlines()[-1]
    here.progress(progress(60))
    if terminal:
        assert "playing" in shown(here, console)
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
    learned(here)
    remarks = ["the run has waited 2 s for box (agents 0-3 on cpu), whose last update took 1 s"]
    here.progress(progress(30, waited=LONG_WAIT_SECONDS - 1, remarks=remarks))
    assert "waited" not in said(console)
    assert said(console).splitlines()[-1].endswith("left")


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
