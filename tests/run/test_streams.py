"""Output that nobody reads, or that cannot be written, costs what a person would have seen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from brigade.store.checkpoint import load

from .processes import DEADLINE_SECONDS, SMALL, SMALL_EPISODES, wait_for

BRIGADE = f"{sys.executable} -m brigade"
NAMED = [*SMALL, "--log-interval", "5", "--run-name", "some"]
RUN = Path("experiments/marl/checkpoints/some")


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * DEADLINE_SECONDS,
        check=False,
    )


PLACES = ["| head -1; exit ${PIPESTATUS[0]}", "> /dev/full 2> /dev/full", ">&- 2>&- <&-"]
if "BRIGADE_KILLS" in os.environ:  # `make torture`, since each takes some seconds
    PLACES += ["> /dev/full", ">&-", "2>&-"]


@pytest.mark.parametrize("where", PLACES)
def test_training_goes_on_to_its_end(tmp_path: Path, where: str) -> None:
    done = shell(tmp_path, f"{BRIGADE} train {' '.join(NAMED)} {where}")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    final = load(tmp_path / RUN / "final_checkpoint.pt")
    assert final.statistics["total_episodes"] >= SMALL_EPISODES
    for name in ("metrics.jsonl", "config.json", "run.json"):
        text = (tmp_path / RUN / name).read_text()
        for line in text.splitlines() if name.endswith("jsonl") else [text]:
            json.loads(line)  # nothing that was to be printed got into it


# With --sync async, which nothing else here trains with to its end.
def test_a_log_that_cannot_be_written_is_given_up(tmp_path: Path) -> None:
    done = shell(tmp_path, f"{BRIGADE} train {' '.join(NAMED)} --sync async --log-file /dev/full")
    assert done.returncode == 0, done.stderr
    assert "--log-file /dev/full: No space left on device; nothing more is logged" in done.stderr
    assert "Traceback" not in done.stderr
    assert load(tmp_path / RUN / "final_checkpoint.pt")


@pytest.mark.parametrize("command", ["scenarios", "optimum v2_minimal", "evaluate random", "play"])
def test_a_short_command_says_that_its_output_cannot_be_written(
    tmp_path: Path, command: str
) -> None:
    done = shell(tmp_path, f"{BRIGADE} {command} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "brigade: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("command", ["scenarios", "optimum v2_minimal"])
def test_a_reader_that_has_left_is_not_told_anything(tmp_path: Path, command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "brigade", *command.split()],
            cwd=tmp_path,
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == ""


SWALLOWING = """
import sys
from brigade.cli import main
from brigade.wire.transport import LearnerSockets

usual, swallowed = LearnerSockets.receive, []

def receive(self, timeout):
    try:
        print("asking", file=sys.stderr, flush=True)
        return usual(self, timeout)
    except KeyboardInterrupt:  # as one that is raised in a callback of a library
        print("swallowed", file=sys.stderr, flush=True)
        return [], iter(())

LearnerSockets.receive = receive
raise SystemExit(main(["status", sys.argv[1], "--watch", "--json"]))
"""


def test_watching_ends_with_an_interrupt_that_a_library_swallowed(tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    address = f"ipc://{tmp_path}/nobody"
    with said.open("w") as output:
        watching = subprocess.Popen(
            [sys.executable, "-c", SWALLOWING, address], stdout=output, stderr=output
        )
    try:
        wait_for(lambda: "asking" in said.read_text(), said.read_text)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(DEADLINE_SECONDS) == 130, said.read_text()
        assert "Traceback" not in said.read_text()
    finally:
        watching.kill()
        watching.wait()
