"""``brigade train`` as people run it: real processes, sockets and files."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from brigade.run import process
from brigade.run.process import SAME_SIGNAL_SECONDS
from brigade.store import checkpoint

from .processes import (
    ENDLESS,
    SMALL,
    SMALL_EPISODES,
    Process,
    alive,
    brigade,
    descendants,
    free_base_port,
    run,
    wait_for,
    wait_for_ends,
)

RUNS = Path("experiments/marl/checkpoints")


def load(folder: Path, name: str) -> dict[str, object]:
    return torch.load(folder / RUNS / name / "final_checkpoint.pt", weights_only=True)


def final_bytes(folder: Path, name: str) -> bytes:
    return (folder / RUNS / name / "final_checkpoint.pt").read_bytes()


def children_by_command(process: Process) -> dict[str, int]:
    """Process ids of a training's simulator and learner."""
    found = {}
    for pid in descendants(process.popen.pid):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        for command in ("sim", "learn"):
            if command in words[:5]:
                found[command] = pid
    return found


def test_a_run_leaves_its_checkpoints_metrics_and_config(tmp_path: Path) -> None:
    output = run(tmp_path, "train", *SMALL, "--run-name", "whole", "--checkpoint-interval", "20")
    folder = tmp_path / RUNS / "whole"
    saved = load(tmp_path, "whole")
    assert {"scenario_name", "population_size", "total_episodes", "policies", "statistics"} <= set(
        saved
    )
    assert saved["scenario_name"] == "default"
    assert saved["population_size"] == 4
    assert int(saved["total_episodes"]) >= SMALL_EPISODES  # type: ignore[call-overload]
    assert len(list(folder.glob("checkpoint_*.pt"))) >= 2
    assert list(folder.glob("events.out.tfevents.*"))
    assert json.loads((folder / "config.json").read_text())["seed"] == 7
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows] == list(range(len(rows)))
    assert saved["versions"] == dict.fromkeys(range(4), len(rows))
    wanted = {"policy_loss", "value_loss", "entropy", "kl", "clip_fraction", "explained_variance"}
    assert wanted <= set(rows[-1]["learning"])
    assert {"play", "transport", "wait"} == set(rows[-1]["time_share"])
    guide = (Path(__file__).parent.parent.parent / "docs" / "running.md").read_text()
    fields = guide[guide.index("A line of `metrics.jsonl`") :].partition("## ")[0]
    for name in {*rows[-1], *rows[-1]["learning"], *rows[-1]["time_share"]}:
        assert f"`{name}`" in fields, "each field is explained"
    assert "final checkpoint: " in output
    assert "mean return" in output


@pytest.mark.parametrize(("sync", "lag"), [("lockstep", 0), ("overlap", 1)])
def test_the_same_seed_gives_the_same_checkpoint_bit_for_bit(
    tmp_path: Path, sync: str, lag: int
) -> None:
    flags = [*SMALL, "--sync", sync, "--device", "cpu"]
    # Forked processes share one seed of hashes; those that are not have one each.
    forked = sync != "lockstep"
    run(tmp_path, "train", *flags, "--run-name", "first", "--threads", "1", forked=forked)
    run(tmp_path, "train", *flags, "--run-name", "second", "--threads", "3", "--num-learners", "2")
    assert final_bytes(tmp_path, "first") == final_bytes(tmp_path, "second")
    lines = (tmp_path / RUNS / "first" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) > 3
    assert rows[0]["agents"]["lag"] == [0] * 4  # the first policies have only themselves
    for row in rows[1:]:
        assert row["agents"]["lag"] == [lag] * 4 == row["lag"], "as the schedule promises"


def test_the_simulator_has_the_cores_that_learners_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "available_cores", lambda: 16)
    assert process.simulator_threads(["cpu"]) == 1
    assert process.simulator_threads(["cuda:0", "cpu"]) == 1
    assert process.simulator_threads(["cuda:0"]) == 15
    assert process.simulator_threads(["cuda:0", "cuda:1"]) == 14
    assert process.simulator_threads(["cuda:0"] * 20) == 1


@pytest.mark.parametrize("gpus", [[], [Path("/dev/nvidia0")]])
def test_threads_that_wait_sleep_beside_learners_on_a_cpu_and_not_beside_gpus(
    gpus: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process.Path, "glob", lambda *_: iter(gpus))
    sleeping = process.thread_settings("cpu")
    assert sleeping["OMP_WAIT_POLICY"] == "PASSIVE"
    assert process.thread_settings("cuda:1") == {}
    assert process.thread_settings("auto") == ({} if gpus else sleeping)


def test_learners_started_by_hand_do_what_train_does(tmp_path: Path) -> None:
    run(tmp_path, "train", *SMALL, "--run-name", "train", "--num-learners", "2")
    port = free_base_port()
    address = f"tcp://127.0.0.1:{port}"
    attach = ["learn", "--connect", address, "--device", "cpu", "--threads", "1"]
    # More threads play no other game.
    sim_by_hand = ["sim", *SMALL, "--bind", address, "--run-name", "hand", "--threads", "3"]
    with (
        brigade(tmp_path, *attach, "--agents", "any:3", "--name", "early") as early,
        brigade(tmp_path, *sim_by_hand) as sim,
    ):
        sim.prints("early learns agents 0-2")
        sim.prints("waiting for a learner of agent 3")
        with brigade(tmp_path, *attach, "--agents", "0,3", "--name", "greedy") as greedy:
            assert greedy.end() == 2
            assert greedy.output.strip() == (
                "brigade learn: --agents 0,3: agent 0 already taken by early; "
                "--stand-by waits for them"
            )
        with brigade(tmp_path, *attach, "--agents", "auto", "--name", "late") as late:
            assert sim.end() == 0, sim.output
            assert late.end() == 0, late.output
            assert early.end() == 0, early.output
    assert final_bytes(tmp_path, "train") == final_bytes(tmp_path, "hand")


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_order(tmp_path: Path, which: signal.Signals) -> None:
    flags = [*ENDLESS, "--hidden-size", "256", "--log-interval", "20"]
    with brigade(tmp_path, "train", *flags, "--run-name", "cut") as process:
        process.prints("episodes/s")
        children = descendants(process.popen.pid)
        assert len(children) == 2
        process.popen.send_signal(which)
        assert process.end() == 128 + which
        assert not [pid for pid in children if alive(pid)]
    assert sum(load(tmp_path, "cut")["versions"].values()) > 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_run_has_begun_is_told_as_such(
    tmp_path: Path, which: signal.Signals
) -> None:
    with brigade(tmp_path, "train", *ENDLESS, "--run-name", "early") as process:
        wait_for(lambda: "sim" in children_by_command(process), lambda: process.output)
        process.popen.send_signal(which)
        assert process.end() == 128 + which, process.output
    assert "killed" not in process.output
    begun = (tmp_path / RUNS / "early").exists()
    assert ("go on with" if begun else "before the run began") in process.output


def test_a_signal_to_all_processes_at_once_ends_the_run_in_order(tmp_path: Path) -> None:
    # As service managers and batch systems do.
    with brigade(tmp_path, "train", *ENDLESS, "--log-interval", "20", "--run-name", "all") as run_:
        run_.prints("episodes/s")
        for pid in [run_.popen.pid, *descendants(run_.popen.pid)]:
            os.kill(pid, signal.SIGTERM)
        assert run_.end() == 128 + signal.SIGTERM
    assert "final checkpoint: " in run_.output, run_.output
    assert sum(load(tmp_path, "all")["versions"].values()) > 0  # type: ignore[attr-defined]
    assert "bad message" not in run_.output, run_.output


def test_a_second_ctrl_c_ends_at_once_what_does_not_end_in_order(tmp_path: Path) -> None:
    with brigade(tmp_path, "train", *ENDLESS, "--log-interval", "20") as process:
        process.prints("episodes/s")
        children = descendants(process.popen.pid)
        os.kill(children_by_command(process)["sim"], signal.SIGSTOP)
        process.popen.send_signal(signal.SIGINT)
        time.sleep(SAME_SIGNAL_SECONDS + 0.5)  # sooner, it would be taken for the same signal
        process.popen.send_signal(signal.SIGINT)
        assert process.end() == 128 + signal.SIGINT
        assert "ended at once by a second signal, and not in order" in process.output
        assert re.search(r"go on with: \S*brigade train --resume \S+$", process.output.strip())
        assert not [pid for pid in children if alive(pid)]


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_memory_that_was_freed_is_kept_for_what_comes_next() -> None:
    def faults(before: str) -> int:
        program = f"""
import resource
import numpy
from brigade.run.process import keep_memory
{before}
for repeat in range(60):
    messages = [numpy.ones(3_000_000, numpy.uint8) for _ in range(8)]
    if repeat == 9:
        warm = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    del messages
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - warm)
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        return int(done.stdout)

    assert faults("keep_memory()") < 0.1 * faults("")


@pytest.mark.parametrize(("launched", "code"), [(True, 0), (False, -signal.SIGTERM)])
def test_an_echo_of_a_signal_does_not_end_what_has_a_launcher(launched: bool, code: int) -> None:
    # The launcher passes a signal on whenever it comes to it, on a busy machine seconds later.
    program = "; ".join(
        [
            "import os, time",
            "from brigade.run.process import on_signals",
            "on_signals(print)",
            "os.kill(os.getpid(), 15)",
            "now = time.monotonic()",
            "time.monotonic = lambda: now + 3.0",
            "os.kill(os.getpid(), 15)",
        ]
    )
    launcher = {"BRIGADE_PARENT": str(os.getpid())} if launched else {}
    done = subprocess.run(
        [sys.executable, "-uc", program], capture_output=True, text=True, env=os.environ | launcher
    )
    assert (done.returncode, done.stdout) == (code, "SIGTERM\n"), done.stderr


@pytest.mark.parametrize("victim", ["sim", "learn"])
def test_a_child_that_dies_too_often_ends_the_training(tmp_path: Path, victim: str) -> None:
    flags = [*ENDLESS, "--log-interval", "20", "--max-restarts", "0"]
    with brigade(tmp_path, "train", *flags) as process:
        process.prints("episodes/s")
        children = descendants(process.popen.pid)

        os.kill(children_by_command(process)[victim], signal.SIGKILL)
        assert process.end() == 1
        assert f"brigade {victim}" in process.output.splitlines()[-1]
        assert not [pid for pid in children if alive(pid)]


def test_children_end_when_the_launcher_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = Path(tempfile.mkdtemp(prefix="b-"))  # short, for the addresses in it
    monkeypatch.setenv("TMPDIR", str(scratch))
    with brigade(tmp_path, "train", *ENDLESS, "--log-interval", "20") as process:
        process.prints("episodes/s")
        children = descendants(process.popen.pid)
        process.popen.kill()
        process.end()
        wait_for_ends(children, lambda: process.output)
    assert not list(scratch.iterdir()), "only its children can remove its temporary folder"
    scratch.rmdir()


def test_a_run_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / RUNS / "mine"
    kept.mkdir(parents=True)
    (kept / "config.json").write_text("precious")
    for command in ("train", "sim"):
        address = f"ipc://{tmp_path}/control"
        with brigade(tmp_path, command, *SMALL, "--run-name", "mine", "--bind", address) as process:
            assert process.end() == 2
            assert "mine exists: choose another --run-name" in process.output
            assert len(process.output.splitlines()) == 1
    assert (kept / "config.json").read_text() == "precious"
    assert sorted(path.name for path in kept.iterdir()) == ["config.json"]


def test_a_busy_port_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_base_port()}"
    with brigade(tmp_path, "sim", *SMALL, "--bind", address, "--run-name", "one") as first:
        first.prints("learners attach with")
        with brigade(tmp_path, "sim", *SMALL, "--bind", address, "--run-name", "two") as second:
            assert second.end() == 2
            expected = f"brigade sim: {address} is in use: choose another --bind"
            assert second.output.strip() == expected
    assert not (tmp_path / RUNS / "two").exists()


def test_seed_and_team_spirit_change_the_result(tmp_path: Path) -> None:
    brief = [*SMALL, "--num-episodes", "40"]
    for name, flags in (("own", []), ("team", ["--team-spirit", "1"]), ("other", ["--seed", "8"])):
        run(tmp_path, "train", *brief, *flags, "--run-name", name)
    own, team, other = (load(tmp_path, name)["policies"] for name in ("own", "team", "other"))
    for one in (team, other):
        assert not torch.equal(own[0]["heads.weight"], one[0]["heads.weight"])  # type: ignore[index]


def test_a_run_whose_agents_diverge_ends_in_order_and_says_so(tmp_path: Path) -> None:
    flags = ["--learning-rate", "1e20", "--run-name", "wild", "--max-rollbacks", "2"]
    with brigade(tmp_path, "train", *ENDLESS, *flags) as process:
        assert process.end() == 1, process.output
    last = process.output.splitlines()[-1]
    assert re.fullmatch(
        r"brigade train: agent \d has diverged in 3 updates, the last being 3: .*; --from begins "
        r"another run, with a lower --learning-rate, and --max-rollbacks allows more",
        last,
    ), process.output
    assert "Traceback" not in process.output
    for version in (1, 2, 3):
        assert f"update {version} of agent " in process.output
    saved = load(tmp_path, "wild")
    assert all(torch.isfinite(row).all() for p in saved["policies"].values() for row in p.values())
    lines = (tmp_path / RUNS / "wild" / "metrics.jsonl").read_text().splitlines()
    assert all(json.loads(line) for line in lines)
    # It goes on where more are allowed, with the count as it was.
    again = ["--resume", "wild", "--max-rollbacks", "4"]
    with brigade(tmp_path, "train", *again) as process:
        assert process.end() == 1
    assert "has diverged in 5 updates" in process.output.splitlines()[-1]


def test_an_agent_that_never_works_is_named_while_it_trains(tmp_path: Path) -> None:
    run(tmp_path, "train", *SMALL, "--run-name", "first")
    path = tmp_path / RUNS / "first" / "final_checkpoint.pt"
    trained = checkpoint.load(path)
    network, idle = trained.network, trained.agents[2]
    row = torch.tensor(idle.parameters).unsqueeze(0)
    bias = network.views(row)["heads.bias"]
    bias[..., network.query_size + network.action_nvec[0]] += 1e4  # to rest
    trained.agents[2] = replace(idle, parameters=row[0].numpy())
    checkpoint.save(path, trained)

    port = free_base_port()
    flags = ["--learning-rate", "1e-12", "--bind", f"tcp://127.0.0.1:{port}"]
    with brigade(tmp_path, "train", "--from", str(path), *ENDLESS, *flags) as process:
        said = re.compile(
            r"^agent 2 has not worked in any of its last [\d,]+ steps; its peers do in \d+% of "
            r"theirs$",
            re.MULTILINE,
        )
        wait_for(lambda: said.search(process.output) is not None, lambda: process.output)
        assert "! agent 2 has not worked" in run(tmp_path, "status", f"tcp://127.0.0.1:{port}")
        process.popen.send_signal(signal.SIGTERM)
        assert process.end() == 143
    again = said.findall(process.output)
    assert len(again) == 2, "once when it is noticed, and at the end"
    assert process.output.count("has not worked") == 2, "nobody else is"
