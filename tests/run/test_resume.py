"""Runs that are stopped or killed, and go on as if they had not been: real processes and files."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from brigade.cli import main
from brigade.store.checkpoint import load

from .processes import SMALL, brigade, descendants, run, wait_for, wait_for_ends
from .test_train import RUNS, final_bytes

# Long enough to be stopped in the middle; short enough to be run a few times.
LONGER = [*SMALL[:-4], "--num-episodes", "400", "--seed", "7", "--checkpoint-interval", "100"]
CASES = [("lockstep", signal.SIGKILL)]
if "BRIGADE_KILLS" in os.environ:  # `make torture`, since each takes half a minute
    CASES += [("overlap", signal.SIGTERM)]


def rows(folder: Path, name: str) -> list[dict[str, object]]:
    lines = (folder / RUNS / name / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def result(folder: Path, name: str) -> list[dict[str, object]]:
    """Metrics without what differs from one run to the next: times."""
    timed = ("time", "seconds", "time_share", "learning", "agents")
    return [{k: v for k, v in row.items() if k not in timed} for row in rows(folder, name)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Uninterrupted runs, by how they were synchronised."""
    folders = {}
    for sync in dict(CASES):
        folders[sync] = tmp_path_factory.mktemp(sync)
        run(folders[sync], "train", *LONGER, "--sync", sync, "--run-name", "whole")
    return folders


@pytest.mark.parametrize(
    ("sync", "how"),
    CASES,
)
def test_a_resumed_run_ends_as_if_it_had_never_been_stopped(
    tmp_path: Path, whole: dict[str, Path], sync: str, how: signal.Signals
) -> None:
    with brigade(tmp_path, "train", *LONGER, "--sync", sync, "--run-name", "cut") as process:
        wait_for(
            lambda: list((tmp_path / RUNS).glob("cut/checkpoint_[2-9]*.pt")) != [],
            lambda: process.output,
        )
        children = descendants(process.popen.pid)
        os.kill(process.popen.pid, how)
        process.end()
        wait_for_ends(children, lambda: process.output)
    if how is signal.SIGKILL:
        # As after a power cut: a checkpoint half written, and a line of metrics.
        (tmp_path / RUNS / "cut" / ".checkpoint_900.pt.part").write_bytes(b"half")
        (tmp_path / RUNS / "cut" / "checkpoint_100000.pt").write_bytes(b"spoilt")
        with (tmp_path / RUNS / "cut" / "metrics.jsonl").open("a") as file:
            file.write('{"update": ')
    run(tmp_path, "train", "--resume", "cut")
    assert final_bytes(tmp_path, "cut") == final_bytes(whole[sync], "whole")
    assert result(tmp_path, "cut") == result(whole[sync], "whole")
    assert not list((tmp_path / RUNS / "cut").glob(".*"))


def test_what_cannot_be_resumed_is_one_line(
    tmp_path: Path, whole: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    complete = str(whole["lockstep"] / RUNS / "whole")
    older = next((whole["lockstep"] / RUNS / "whole").glob("checkpoint_*.pt"))
    for flags, says in (
        (["--resume", str(older)], "the run goes on from its newest checkpoint"),
        (["--resume", complete, "--checkpoint-dir", str(tmp_path)], "does not lie there"),
        (["--resume", "nothing"], "no run of that name"),
        (["--resume", complete, "--gamma", "0.5"], "goes on with its own, 0.99"),
        (["--resume", complete, "--anneal"], "--anneal True: run"),
        (["--resume", complete, "--from", complete], "exclude each other"),
        (["--resume", complete, "--bind", f"ipc://{tmp_path}/c"], "give --num-episodes beyond"),
    ):
        assert main(["sim", *flags]) == 2
        said = capsys.readouterr().err
        assert says in said
        assert len(said.splitlines()) == 1
    with brigade(tmp_path, "train", "--resume", str(older)) as process:
        assert process.end() == 2
        assert "the run goes on from its newest checkpoint" in process.output


def test_a_complete_run_goes_on_where_more_is_asked_for(
    tmp_path: Path, whole: dict[str, Path]
) -> None:
    shutil.copytree(whole["lockstep"] / RUNS / "whole", tmp_path / "moved" / "here")
    more = ["--num-episodes", "500", "--checkpoint-interval", "1000"]
    # Any of its checkpoints' names means the run, as long as it is the newest one.
    final = tmp_path / "moved" / "here" / "final_checkpoint.pt"
    before = load(final)
    said = run(tmp_path, "train", "--resume", str(final), *more)
    assert f"going on from {before.statistics['total_episodes']:,} episodes" in said
    after = load(final)
    assert after.run == before.run, "it is the same run"
    assert before.statistics["total_episodes"] < 500 <= after.statistics["total_episodes"]
    assert all(
        new.version > old.version for new, old in zip(after.agents, before.agents, strict=True)
    )
    settings = json.loads((tmp_path / "moved" / "here" / "config.json").read_text())
    assert (settings["num_episodes"], settings["checkpoint_interval"]) == (500, 1000)
    lines = (tmp_path / "moved" / "here" / "metrics.jsonl").read_text().splitlines()
    updates = [json.loads(line)["update"] for line in lines]
    assert updates == list(range(len(updates)))
    old = sorted((tmp_path / "moved" / "here").glob("checkpoint_*.pt"))[0]
    assert main(["sim", "--resume", str(old), f"--bind=ipc://{tmp_path}/c"]) == 2


def test_a_run_needs_nothing_but_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not the scenario file that it was begun with, nor the place where that lay."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    scenario = here / "town.toml"
    scenario.write_text('base = "v2_minimal"\nmin_nights = 4\n')
    flags = [*LONGER[2:], "--scenario", "town.toml", "--sync", "lockstep"]
    run(here, "train", *flags, "--run-name", "whole")
    with brigade(here, "train", *flags, "--run-name", "cut") as process:
        wait_for(
            lambda: list((here / RUNS).glob("cut/checkpoint_*.pt")) != [], lambda: process.output
        )
        process.popen.send_signal(signal.SIGTERM)
        assert process.end() == 143
        assert re.search(
            rf"^.*; go on with: \S*brigade train --resume {RUNS}/cut$", process.output, re.MULTILINE
        )
        assert "stopped by SIGTERM at" in process.output
    scenario.write_text("num_houses = 3\n")  # which is another game
    shutil.move(here / RUNS / "cut", there / "cut")
    run(there, "train", "--resume", "cut")
    assert (there / "cut" / "final_checkpoint.pt").read_bytes() == final_bytes(here, "whole")
    scenario.unlink()
    assert load(there / "cut" / "final_checkpoint.pt").game.arguments["scenario"]["min_nights"] == 4
    said = run(there, "evaluate", "cut", "--episodes", "4")
    assert "town" in said


def test_trained_agents_begin_another_run(tmp_path: Path, whole: dict[str, Path]) -> None:
    trained = whole["lockstep"] / RUNS / "whole"
    # Fewer agents, another game of the same shape, other settings.
    flags = ["--num-agents-per-game", "4", "--scenario", "hard", "--learning-rate", "1e-3"]
    small = ["--batch-size", "64", "--update-interval", "8", "--num-games", "16", "--seed", "3"]
    said = run(
        tmp_path, "train", "--from", str(trained), *flags, *small, "--num-episodes", "60",
        "--run-name", "next", "--keep", "all",
    )  # fmt: skip
    assert f"beginning with the agents of {trained}" in said
    old, first = (
        load(trained / "final_checkpoint.pt"),
        load(tmp_path / RUNS / "next/checkpoint_0.pt"),
    )
    last = load(tmp_path / RUNS / "next" / "final_checkpoint.pt")
    for before, begun, after in zip(old.agents, first.agents, last.agents, strict=True):
        assert np.array_equal(before.parameters, begun.parameters)
        assert np.array_equal(before.statistics, begun.statistics)
        assert not begun.first_moment.any(), "its optimiser begins anew"
        assert (begun.version, begun.steps) == (0, 0)
        assert after.version > 0
    assert (last.game.name, last.config.hidden_size) == ("hard", old.config.hidden_size)
    assert last.run != old.run
    # A run that is cut off at once goes on from those agents, and not from untrained ones.
    for name in ("final_checkpoint.pt", "metrics.jsonl"):
        (tmp_path / RUNS / "next" / name).unlink()
    for path in (tmp_path / RUNS / "next").glob("checkpoint_[1-9]*.pt"):
        path.unlink()
    run(tmp_path, "train", "--resume", "next")
    again = load(tmp_path / RUNS / "next" / "final_checkpoint.pt")
    for one, other in zip(again.agents, last.agents, strict=True):
        assert np.array_equal(one.parameters, other.parameters)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--from", "{run}:9"], "it has agents 0-3"),
        (["--from", "{run}:3-1"], "'3-1' is not like 0-3,7"),
        (["--from", "{run}:0-1"], "Population size must be >= num_agents_per_game"),
        (["--from", "{run}", "--hidden-size", "64"], "--hidden-size 64: --from {run} has 32"),
        (["--from", "{run}", "--scenario", "v2_minimal"], "trained with 10 houses and 4 seats"),
        (["--from", "{run}", "--num-agents-per-game", "3"], "has 10 and 3"),
        (["--from", "nothing.pt"], "nothing.pt: no such file, and no run in"),
    ],
)
def test_agents_that_do_not_fit_are_refused_before_anything_starts(
    tmp_path: Path,
    whole: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    says: str,
) -> None:
    trained = str(whole["lockstep"] / RUNS / "whole")
    given = [flag.format(run=trained) for flag in flags]
    place = ["--checkpoint-dir", str(tmp_path / "runs")]
    for command in ("train", "sim"):
        assert main([command, *given, *place]) == 2
        said = capsys.readouterr().err
        assert says.format(run=trained) in said
        assert len(said.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
