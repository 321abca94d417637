"""Processes are killed and suspended at random while a run trains; the result must not show it.

In ``lockstep`` the run that was tortured must end as the one that was left alone: the same final
checkpoint, bit for bit, and the same metrics. That says more than any count: each version was made
once and in order, from the right transitions and from each of them once, and the statistics are of
just what was used. What can be counted is counted all the same. ``BRIGADE_KILLS`` sets how often
(``make torture``: 30).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import pytest
import torch

from brigade.run.process import PARENT_VARIABLE

from ..run.processes import SMALL, alive, brigade, descendants, memory, wait_for

RUNS = Path("experiments/marl/checkpoints")
KILLS = int(os.environ.get("BRIGADE_KILLS", "2"))
EPISODES = 250 * (KILLS + 1)
SEED = int(os.environ.get("BRIGADE_SEED", "1"))
FLAGS = [*SMALL[:-4], "--num-episodes", str(EPISODES), "--seed", "7", "--sync", "lockstep"]
FLAGS += ["--checkpoint-interval", "50"]
SEATS = 4
MOST_GROWTH = 64 << 20  # bytes, that a process of a tortured run may have more than one of another


def processes(launcher: int) -> dict[str, list[int]]:
    """A training's children by command."""
    found: dict[str, list[int]] = {"sim": [], "learn": []}
    for pid in descendants(launcher):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        for command in found:
            if command in words[:5]:
                found[command].append(pid)
    return found


class Watch:
    """Notes the most memory that each kind of process was seen with, and every process seen."""

    def __init__(self) -> None:
        self.memory: dict[str, int] = defaultdict(int)
        self.seen: set[int] = set()

    def look(self, launcher: int) -> None:
        for kind, pids in processes(launcher).items():
            self.seen |= set(pids)
            self.memory[kind] = max(self.memory[kind], *map(memory, pids), 0)

    def gone(self, launcher: int) -> bool:
        """Whether all are, and those that the launcher had just started when it was killed."""
        return not any(map(alive, self.seen | started_by(launcher)))


def started_by(launcher: int) -> set[int]:
    """Processes that were started by a launcher, which may be gone."""
    mark, found = f"{PARENT_VARIABLE}={launcher}".encode(), set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in path.read_bytes().split(b"\0"):
                found.add(int(path.parent.name))
    return found


def check_counts(folder: Path) -> None:
    """Statistics and versions are the sums over the rollouts that were used, each once."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    final = torch.load(folder / "final_checkpoint.pt", weights_only=True)
    statistics = final["statistics"]
    assert [row["update"] for row in rows] == list(range(len(rows))), "each update once, in order"
    assert set(final["versions"].values()) == {len(rows)}, "one version from each rollout"
    assert all(row["agents"]["lag"] == [0] * SEATS for row in rows)
    assert statistics["total_episodes"] == rows[-1]["episodes"]
    assert statistics["total_transitions"] == rows[-1]["transitions"]
    assert statistics["total_transitions"] == SEATS * statistics["total_steps"]
    assert sum(statistics["match_counts"].values()) == SEATS * statistics["total_episodes"]


def result(folder: Path) -> tuple[bytes, list[dict[str, object]]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    timed = ("time", "seconds", "time_share", "learning", "agents")
    rows = [{k: v for k, v in json.loads(line).items() if k not in timed} for line in lines]
    return (folder / "final_checkpoint.pt").read_bytes(), rows


def strike(what: str, launcher: int, rng: random.Random) -> str:
    """Kill or suspend something; say what."""
    children = processes(launcher)
    victims = {
        "sim": children["sim"],
        "learn": children["learn"],
        "both": children["sim"] + children["learn"],
        "suspend sim": children["sim"],
        "suspend learn": children["learn"],
        "launcher": [launcher],
        "all": [launcher, *children["sim"], *children["learn"]],
    }[what]
    which = signal.SIGSTOP if what.startswith("suspend") else signal.SIGKILL
    if what in ("learn", "suspend learn") and victims:
        victims = [rng.choice(victims)]
    for pid in victims:
        os.kill(pid, which)
    if which is signal.SIGSTOP:
        time.sleep(3.5)  # longer than the lease
        for pid in victims:
            os.kill(pid, signal.SIGCONT)
    return f"{what}: {victims}"


@pytest.mark.timeout(300 + 120 * KILLS)
def test_a_tortured_run_ends_as_one_that_was_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = Path(tempfile.mkdtemp(prefix="b-"))  # short, for the addresses in it
    monkeypatch.setenv("TMPDIR", str(scratch))
    alone, watch = Watch(), Watch()
    with brigade(tmp_path, "train", *FLAGS, "--run-name", "alone") as process:
        deadline = time.monotonic() + 120 + 40 * KILLS
        while process.popen.poll() is None and time.monotonic() < deadline:
            alone.look(process.popen.pid)
            time.sleep(0.2)
        assert process.end(0.1) == 0, process.output
    rng = random.Random(SEED)
    kinds = ["sim", "learn", "suspend learn", "both", "launcher", "suspend sim", "all"]
    plan = [kinds[i % len(kinds)] if KILLS < 6 else rng.choice(kinds) for i in range(KILLS)]
    common = ["--lease", "2", "--max-restarts", "1000", "--keep", "3"]
    command = ["train", *FLAGS, "--run-name", "tortured", "--num-learners", "2", *common]
    folder, done, output = tmp_path / RUNS / "tortured", 0, ""
    while True:
        with brigade(tmp_path, *command) as process:

            def newest() -> float:
                watch.look(process.popen.pid)
                found = folder.glob("checkpoint_*.pt")
                return max((path.stat().st_mtime for path in found), default=0.0)

            while done < KILLS:
                before = newest()
                wait_for(lambda b=before: newest() > b or process.popen.poll() is not None,
                         lambda: process.output)  # fmt: skip
                if process.popen.poll() is not None:
                    break
                time.sleep(rng.random() * 0.5)
                watch.look(process.popen.pid)
                print(f"{done + 1}: {strike(plan[done], process.popen.pid, rng)}", flush=True)
                done += 1
                if plan[done - 1] in ("launcher", "all"):
                    break
            deadline = time.monotonic() + 240 + 60 * KILLS
            while process.popen.poll() is None and time.monotonic() < deadline:
                watch.look(process.popen.pid)
                time.sleep(0.1)
            code = process.end(0.1)
            wait_for(lambda: watch.gone(process.popen.pid), lambda: "a process is left")
            output += process.output
            if code == 0:
                break
            assert code == -signal.SIGKILL, process.output
        command = ["train", "--resume", "tortured", "--num-learners", "2", *common]
    print(f"most memory: {dict(watch.memory)}, alone {dict(alone.memory)}")
    assert done == KILLS, "the run was over too soon"
    for kind in {"sim", "learn"} & set(plan):
        assert f"brigade {kind} was killed by SIGKILL; started again (" in output, output
    assert "Traceback" not in output, output
    assert result(folder) == result(tmp_path / RUNS / "alone")
    check_counts(folder)
    for kind, most in watch.memory.items():
        assert most < alone.memory[kind] + MOST_GROWTH, kind
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    assert len(list(folder.glob("checkpoint_*.pt"))) <= 3
    assert not list(scratch.iterdir()), "no temporary file is left"
    scratch.rmdir()


# A disk of its own for a command, gone with it however it ends; what was on it is copied off.
SMALL_DISK = """
mount -t tmpfs -o size=600k tmpfs "$0" || exit 77
copy=$1; shift
"$@"; code=$?
cp -r "$0" "$copy"
exit $code
"""


def test_a_full_disk_ends_the_run_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    prefix = ["unshare", "--mount", "sh", "-c", SMALL_DISK, str(disk), str(copy)]
    flags = [*FLAGS, "--num-episodes", "100000", "--checkpoint-dir", str(disk)]
    with brigade(tmp_path, "train", *flags, "--run-name", "full", prefix=prefix) as process:
        code = process.end(100)
    if code == 77 or "unshare" in process.output:
        pytest.skip(f"mounting a tmpfs is not permitted here: {process.output.strip()}")
    assert code == 1, process.output
    assert "No space left on device" in process.output, process.output
    assert "the last checkpoint is whole" in process.output
    assert "Traceback" not in process.output, process.output
    found = sorted((copy / "full").glob("*.pt"))
    assert found
    for path in found:
        torch.load(path, weights_only=True)
