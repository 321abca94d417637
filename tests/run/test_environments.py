"""Runs on other people's environments: what holds for brigade's own game holds for them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

import brigade as package
from brigade.cli import main
from brigade.store import checkpoint

from .processes import (
    Process,
    brigade,
    descendants,
    free_base_port,
    run,
    wait_for,
    wait_for_ends,
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


def test_a_stopped_run_goes_on_where_the_environment_is_named_and_not_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--env", REACH, "--env-arg", "steps=4", "--population-size", "2", *TRAIN]
    with brigade(
        tmp_path, "train", *flags, *ENDLESS, "--log-interval", "20", "--run-name", "cut"
    ) as process:
        process.prints("episodes/s")
        process.popen.send_signal(signal.SIGINT)
        assert process.end() == 130, process.output
    (said,) = [line for line in process.output.splitlines() if "go on with: " in line]
    words = shlex.split(said.partition("go on with: ")[2])
    assert words[1:] == ["train", "--resume", f"{RUNS}/cut", f"--env={REACH}"]
    for given, says in (
        ([], f"which is code that would be run: give --env {REACH} where you trust it"),
        (["--env", BANDIT], f"goes on with its own, {REACH}"),
        (["--env", REACH, "--env-arg", "steps=2"], "goes on with its own, {'steps': 4}"),
    ):
        for command in ("train", "sim"):
            assert main([command, "--resume", "cut", *given]) == 2
            refusal = capsys.readouterr().err
            assert says in refusal
            assert len(refusal.splitlines()) == 1
    played = checkpoint.load(tmp_path / RUNS / "cut" / "final_checkpoint.pt").statistics
    more = ["--num-transitions", str(played["total_transitions"] + 200), "--env", REACH]
    on = run(tmp_path, "train", "--resume", "cut", *more, "--device", "cpu")
    assert f"going on from {played['total_episodes']:,} episodes" in on
    assert f"{REACH} cannot be saved: its episodes begin anew" in on
    small = ["--population-size", "2", *TRAIN, "--env", REACH, "--run-name", "next"]
    said = run(tmp_path, "train", "--from", "cut", *small, "--keep", "all")
    assert "beginning with the agents of cut" in said
    old, first = (
        checkpoint.load(tmp_path / RUNS / name)
        for name in ("cut/final_checkpoint.pt", "next/checkpoint_0.pt")
    )
    for before, begun in zip(old.agents, first.agents, strict=True):
        assert before.parameters.tobytes() == begun.parameters.tobytes()
    assert main(["train", "--from", "cut", "--env", LIVES]) == 2
    assert "see or do something else" in capsys.readouterr().err


# ---- what strangers may send or hand over ------------------------------------------------------


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose files name code: a module that leaves a mark when it is imported."""
    folder = tmp_path_factory.mktemp("trap")
    run(folder, "train", "--env", REACH, "--population-size", "2", *TRAIN, "--run-name", "run")
    (folder / "trap_module.py").write_text(
        "from pathlib import Path\n"
        "mark = Path(__file__).with_name('sprung')\n"
        "mark.touch()\n"
        "def make(**arguments):\n    mark.touch()\n"
    )
    return folder


@pytest.mark.parametrize("env", ["trap_module:make", "trap_module.py", "os:system"])
def test_nothing_that_a_file_names_is_imported_or_run(
    trap: Path, env: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trap)
    monkeypatch.syspath_prepend(str(trap))
    folder = trap / RUNS / "run"
    arguments = {"command": f"touch {trap}/sprung"}
    for name in ("run.json", "config.json"):
        content = json.loads((folder / name).read_text())
        if name == "run.json":
            content["game"]["arguments"] |= {"env": env, "env_arg": arguments}
        else:
            content |= {"env": env, "env_arg": arguments}
        (folder / name).write_text(json.dumps(content))
    path = folder / "final_checkpoint.pt"
    content = torch.load(path, weights_only=True)
    content["game"]["arguments"] |= {"env": env, "env_arg": arguments}
    content["config"] |= {"env": env, "env_arg": arguments}
    torch.save(content, path)
    for words in (
        ["train", "--resume", "run", "--num-transitions", "1000"],
        ["sim", "--resume", "run", "--bind", f"ipc://{trap}/c"],
        ["train", "--from", "run"],
        ["evaluate", "run"],
        ["play", "run"],
        ["status", "run"],
    ):
        assert main(words) == 2, words
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1
    assert len(package.load_agents(path)) == 2
    assert len(package.load_agents(folder)) == 2
    assert not (trap / "sprung").exists()
    assert "trap_module" not in sys.modules


# ---- environments that fail --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "at", "workers", "says"),
    [
        ("raise", 0, 0, "game 0, step 0: RuntimeError: out of paper"),
        ("raise", 0, 2, "game 0, step 0: RuntimeError: out of paper"),
        ("raise", 2, 2, "game 0, step 1: RuntimeError: out of paper"),
        ("nan", 2, 0, "agent hand_1, step 1: an observation holds nan"),
        ("shape", 2, 0, "agent hand_1, step 1: "),
        ("no_infos", 0, 0, "step 0: "),
    ],
)
def test_an_environment_that_fails_ends_the_run_in_order(
    tmp_path: Path, how: str, at: int, workers: int, says: str
) -> None:
    many = ["--env-workers", str(workers)]
    flags = ["--env", BROKEN, "--env-arg", f"how={how}", "--env-arg", f"at={at}"]
    with brigade(
        tmp_path, "train", *flags, *TRAIN, *many, "--population-size", "2", "--run-name", "bad"
    ) as process:
        assert process.end() == 1, process.output
    refusals = lines(process.output, "brigade train: ")
    assert len(refusals) == 1, process.output
    assert says in refusals[0], process.output
    assert "Traceback" not in process.output
    written = (tmp_path / RUNS / "bad" / "environment_error.txt").read_text()
    assert "Traceback" in written
    if how == "raise":
        assert 'raise RuntimeError("out of paper")' in written


def worker_pids(process: Process) -> list[int]:
    """Processes of a training that play an environment."""
    found = []
    for pid in descendants(process.popen.pid):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"brigade.games.pettingzoo.worker" in words:
            found.append(pid)
    return found


def test_a_killed_worker_ends_the_run_in_order_or_is_started_again(tmp_path: Path) -> None:
    flags = ["--env", BANDIT, "--population-size", "2", *TRAIN, *ENDLESS, "--log-interval", "20"]
    flags += ["--env-workers", "2", "--checkpoint-interval", "40", "--run-name"]
    with brigade(tmp_path, "train", *flags, "dead") as process:
        wait_for(lambda: newest(tmp_path / RUNS / "dead") > 0, lambda: process.output)
        everyone, workers = descendants(process.popen.pid), worker_pids(process)
        assert len(workers) == 2
        os.kill(workers[1], signal.SIGKILL)
        killed = time.monotonic()
        assert process.end() == 1, process.output
        took = time.monotonic() - killed
        wait_for_ends(everyone, lambda: process.output)
    assert took < 20, "5 s on a machine that has nothing else to do"
    (refusal,) = lines(process.output, "brigade train: ")
    assert "worker 1 with games 3 to 5: its process was killed by SIGKILL" in refusal
    checkpoint.load(tmp_path / RUNS / "dead" / "final_checkpoint.pt")
    with brigade(tmp_path, "train", *flags, "mended", "--on-env-error", "restart") as process:
        wait_for(lambda: newest(tmp_path / RUNS / "mended") > 0, lambda: process.output)
        before, everyone = worker_pids(process), descendants(process.popen.pid)
        os.kill(before[0], signal.SIGKILL)
        process.prints("loses a worker")
        at = newest(tmp_path / RUNS / "mended")
        wait_for(lambda: newest(tmp_path / RUNS / "mended") > at, lambda: process.output)
        everyone += descendants(process.popen.pid)
        process.popen.send_signal(signal.SIGINT)
        assert process.end() == 130
        wait_for_ends(everyone, lambda: process.output)
    assert process.output.count("(first in ") == 1, "it is told once"


@pytest.mark.parametrize(
    ("how", "says"),
    [("hang", "no answer within 1 s"), ("die", "its process ended with exit code 3")],
)
def test_a_worker_that_hangs_or_ends_is_named(tmp_path: Path, how: str, says: str) -> None:
    flags = ["--env", BROKEN, "--env-arg", f"how={how}", "--env-workers", "1", *TRAIN]
    more = ["--env-timeout", "1", "--population-size", "2", "--run-name", "bad"]
    with brigade(tmp_path, "train", *flags, *more) as process:
        assert process.end() == 1, process.output
    (refusal,) = lines(process.output, "brigade train: ")
    assert says in refusal


def test_an_environment_that_exits_is_one_that_failed(tmp_path: Path) -> None:
    flags = ["--env", BROKEN, "--env-arg", "how=exit", "--population-size", "2", *TRAIN]
    with brigade(tmp_path, "train", *flags, "--run-name", "bad") as process:
        assert process.end() == 1, process.output
    (refusal,) = lines(process.output, "brigade train: ")
    assert "step 1: SystemExit: 0" in refusal


def test_threads_that_an_environment_leaves_do_not_keep_a_run_from_ending(tmp_path: Path) -> None:
    flags = ["--env", BROKEN, "--env-arg", "how=threads", "--population-size", "2", *TRAIN]
    assert "final checkpoint" in run(tmp_path, "train", *flags, "--run-name", "good")
    with brigade(
        tmp_path, "evaluate", "random", "--env", BROKEN, "--env-arg", "how=threads_raise"
    ) as process:
        assert process.end() == 1, process.output
    assert "out of paper" in process.output


def test_a_mask_of_zeros_is_named_and_closed_choices_are_never_taken(tmp_path: Path) -> None:
    flags = ["--env", MASKED, "--population-size", "2", *TRAIN]
    run(tmp_path, "train", *flags, "--run-name", "good")
    with brigade(
        tmp_path, "train", *flags, "--env-arg", "all_closed_at=2", "--run-name", "bad"
    ) as process:
        assert process.end() == 1, process.output
    (refusal,) = lines(process.output, "brigade train: ")
    assert "agent hand_0, step" in refusal
    assert "an action mask of zeros, which allows no action" in refusal
