"""Runs that are stopped or killed, and go on as if they had not been: real processes and files."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from brigade.cli import main

from .processes import SMALL, alive, brigade, descendants, run, wait_for
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
    timed = ("seconds", "time_share", "learning", "agents")
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
        wait_for(lambda: list((tmp_path / RUNS).glob("cut/checkpoint_[2-9]*.pt")) != [])
        children = descendants(process.popen.pid)
        os.kill(process.popen.pid, how)
        process.end()
        wait_for(lambda: not [pid for pid in children if alive(pid)])
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
    for flags, says in (
        (["--resume", "nothing"], "there is no run"),
        (["--resume", complete, "--gamma", "0.5"], "--gamma 0.5: the run goes on with its own"),
        (["--resume", complete, "--bind", f"ipc://{tmp_path}/c"], "is complete"),
    ):
        assert main(["sim", *flags]) == 2
        said = capsys.readouterr().err
        assert says in said
        assert len(said.splitlines()) == 1
