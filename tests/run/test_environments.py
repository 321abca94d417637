"""Runs on other people's environments: what holds for brigade's own game holds for them."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from brigade.cli import main
from brigade.store import checkpoint

from .processes import (
    brigade,
    free_base_port,
    run,
    wait_for,
)
from .test_resume import result
from .test_train import RUNS, children_by_command, final_bytes

TOYS = Path(__file__).with_name("toy_environments.py")
LIVES, REACH, BANDIT = f"{TOYS}:Lives", f"{TOYS}:Reach", f"{TOYS}:Bandit"
BROKEN, MASKED = f"{TOYS}:Broken", f"{TOYS}:Masked"
TINY = [
    *("--update-interval", "2", "--hidden-size", "8", "--batch-size", "16", "--num-epochs", "2"),
    *("--num-games", "6", "--num-transitions", "300", "--seed", "5"),
]
TRAIN = [*TINY, "--device", "cpu", "--threads", "1"]
ROLES = ["--population-size", "hare=2,tortoise=2"]
ENDLESS = ["--num-transitions", "1000000000", "--num-episodes", "1000000000"]


def lines(output: str, start: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(start)]


# ---- repeatability -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags",
    [
        ["mpe2.simple_spread_v3", "--population-size", "2"],
        ["pettingzoo.classic.tictactoe_v3", "--population-size", "2"],
        [LIVES, *ROLES],
        [REACH, "--population-size", "2", "--sync", "lockstep"],
    ],
    ids=["spread", "tictactoe", "lives", "reach"],
)
def test_the_same_seed_gives_the_same_checkpoint_with_any_number_of_workers_and_learners(
    tmp_path: Path, flags: list[str]
) -> None:
    names = []
    for workers, learners in ((0, 1), (1, 2), (3, 1)):
        names.append(f"w{workers}-l{learners}")
        many = ["--env-workers", str(workers), "--num-learners", str(learners)]
        run(tmp_path, "train", "--env", *flags, *TRAIN, *many, "--run-name", names[-1])
    first, *others = names
    saved = checkpoint.load(tmp_path / RUNS / first / "final_checkpoint.pt")
    assert min(agent.version for agent in saved.agents) >= 2, "they have learned"
    for name in others:
        assert final_bytes(tmp_path, name) == final_bytes(tmp_path, first)
        assert result(tmp_path, name) == result(tmp_path, first)


# ---- processes that come and go ----------------------------------------------------------------


def test_learners_attach_by_address_each_to_the_agents_of_a_role_with_keys(tmp_path: Path) -> None:
    run(tmp_path, "train", "--env", LIVES, *ROLES, *TRAIN, "--run-name", "train")
    folder = tmp_path / "keys"
    for name in ("simulator", "learner"):
        assert main(["keys", "new", name, "--folder", str(folder)]) == 0
    assert main(["keys", "admit", str(folder / "learner.pub"), "--folder", str(folder)]) == 0
    address = f"tcp://127.0.0.1:{free_base_port()}"
    key = ["--key", str(folder / "simulator.key")]
    sim = ["sim", "--env", LIVES, *ROLES, *TINY, "--bind", address, *key, "--run-name", "hand"]
    learn = ["learn", "--connect", address, "--device", "cpu", "--threads", "1"]
    ours = ["--key", str(folder / "learner.key"), "--server-key", str(folder / "simulator.pub")]
    with brigade(tmp_path, *sim) as simulator, ExitStack() as stack:
        simulator.prints("learners attach with")
        stranger = stack.enter_context(brigade(tmp_path, *learn, "--agents", "0-3"))
        both = [
            stack.enter_context(brigade(tmp_path, *learn, *ours, "--agents", agents))
            for agents in ("0-1", "2-3")
        ]
        assert simulator.end() == 0, simulator.output
        assert [each.end() for each in both] == [0, 0]
        assert "learns agents 2-3" in simulator.output
        assert stranger.popen.poll() != 0, "it was never let in"
    assert final_bytes(tmp_path, "hand") == final_bytes(tmp_path, "train")


def test_a_killed_learner_and_a_killed_simulator_change_nothing(tmp_path: Path) -> None:
    # Each episode is a step long, so at any checkpoint nothing is under way.
    flags = ["--env", BANDIT, "--population-size", "2", *TRAIN, "--sync", "lockstep"]
    flags += ["--num-transitions", "4000", "--checkpoint-interval", "20", "--lease", "2"]
    run(tmp_path, "train", *flags, "--run-name", "whole")
    with brigade(tmp_path, "train", *flags, "--run-name", "hurt") as process:
        for victim in ("learn", "sim"):
            before = newest(tmp_path / RUNS / "hurt")
            wait_for(
                lambda before=before: newest(tmp_path / RUNS / "hurt") > before,
                lambda: process.output,
            )
            os.kill(children_by_command(process)[victim], signal.SIGKILL)
            process.prints(f"brigade {victim} was killed by SIGKILL; started again")
        assert process.end() == 0, process.output
    assert "its episodes begin anew" in process.output
    assert final_bytes(tmp_path, "hurt") == final_bytes(tmp_path, "whole")
    assert result(tmp_path, "hurt") == result(tmp_path, "whole")


def newest(folder: Path) -> int:
    numbers = [int(path.stem.split("_")[1]) for path in folder.glob("checkpoint_*.pt")]
    return max(numbers, default=0)
