"""Simulator and learners on two hosts, and what befalls the cable between them.

Needs root and iproute2. ``BRIGADE_CUT`` sets for how many seconds the cable is cut
(``make torture``: 20).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from brigade.cli import main

from ..run.processes import SMALL, Process, brigade, run, wait_for
from ..run.test_train import RUNS, final_bytes
from .cable import DELAY_SECONDS, Cable, Host, NotPermitted, cable, two_hosts

CUT_SECONDS = float(os.environ.get("BRIGADE_CUT", "3"))
CABLES = ["slow and lossy", "good"] if "BRIGADE_CUT" in os.environ else ["slow and lossy"]
ADDRESS = "tcp://10.77.0.1:5750"
FLAGS = [*SMALL[:-4], "--num-episodes", "50", "--seed", "7", "--sync", "lockstep"]
LEARN = ["learn", "--connect", ADDRESS, "--device", "cpu", "--threads", "1"]

ECHO = """
import socket
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.bind(("", 5750))
print("ready", flush=True)
while True:
    line.sendto(*line.recvfrom(64))
"""
# Prints the share of datagrams that come back, and after how many seconds at the median.
PING = """
import select, socket, statistics, sys, time
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.connect((sys.argv[1], 5750))
took = []
for number in range(600):
    line.send(repr(time.monotonic()).encode())
    while select.select([line], [], [], 0.5 if number == 599 else 0.001)[0]:
        took.append(time.monotonic() - float(line.recv(64)))
print(len(took) / 600, statistics.median(took))
"""

Network = tuple[Host, Host, Cable]


@pytest.fixture
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    """Two hosts and a cable with latency and loss, or, where the test says so, a good one."""
    with ExitStack() as stack:
        try:
            hosts = stack.enter_context(two_hosts())
            lossy = getattr(request, "param", "slow and lossy") != "good"
            laid = stack.enter_context(cable(hosts, lossy=lossy))
        except NotPermitted as error:
            pytest.skip(f"not permitted here: {error}")
        yield *hosts, laid


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The final checkpoint of the same run on one machine."""
    folder = tmp_path_factory.mktemp("alone")
    run(folder, "train", *FLAGS, "--threads", "1", "--run-name", "alone")
    return final_bytes(folder, "alone")


def updates(folder: Path) -> list[int]:
    """Numbers of the updates that are in a run's metrics."""
    path = folder / RUNS / "apart" / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["update"] for line in lines]


def test_the_cable_is_as_slow_and_lossy_as_it_says(network: Network) -> None:
    first, second, _ = network
    echo = [*second.prefix, sys.executable, "-c", ECHO]
    with subprocess.Popen(echo, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        ping = [*first.prefix, sys.executable, "-c", PING, second.address]
        said = subprocess.run(ping, check=True, capture_output=True, text=True).stdout
        server.kill()
    share, seconds = map(float, said.split())
    assert 0.95 < share < 1
    assert 2 * DELAY_SECONDS <= seconds < 4 * DELAY_SECONDS


@pytest.mark.parametrize("network", CABLES, indirect=True)
@pytest.mark.timeout(300 + 6 * CUT_SECONDS)
def test_a_cable_that_is_cut_changes_nothing_but_the_time(
    network: Network, tmp_path: Path, alone: bytes
) -> None:
    near, far, laid = network
    sim = ["sim", *FLAGS, "--run-name", "apart", "--bind", ADDRESS, "--insecure", "--lease", "2"]
    with (
        brigade(tmp_path, *sim, prefix=near.prefix) as simulator,
        brigade(tmp_path, *LEARN, "--name", "far", prefix=far.prefix) as learner,
    ):
        wait_for(lambda: len(updates(tmp_path)) > 5, lambda: simulator.output + learner.output)
        laid.cut()
        time.sleep(CUT_SECONDS)
        laid.mend()
        assert simulator.end(60 + 3 * CUT_SECONDS) == 0, simulator.output + learner.output
        assert learner.end() == 0, learner.output
        assert "far (agents 0-3) is gone: silent for 2 s" in simulator.output
        assert simulator.output.count("far learns agents 0-3") > 1, simulator.output
    assert final_bytes(tmp_path, "apart") == alone


def test_a_learner_on_another_host_takes_over_without_a_jump(
    network: Network, tmp_path: Path, alone: bytes
) -> None:
    near, far, _ = network
    folder = str(tmp_path / "keys")
    for words in (["new", "sim"], ["new", "box"], ["new", "thief"], ["admit", f"{folder}/box.pub"]):
        assert main(["keys", *words, "--folder", folder]) == 0

    def credentials(name: str) -> list[str]:
        return ["--key", f"{folder}/{name}.key", "--server-key", f"{folder}/sim.pub"]

    sim = ["sim", *FLAGS, "--run-name", "apart", "--bind", ADDRESS, "--lease", "2"]
    with ExitStack() as stack:

        def start(host: Host, *words: str) -> Process:
            return stack.enter_context(brigade(tmp_path, *words, prefix=host.prefix))

        simulator = start(near, *sim, "--key", f"{folder}/sim.key")
        here = start(near, *LEARN, *credentials("box"), "--name", "here", "--max-updates", "9")
        assert here.end() == 0, simulator.output + here.output
        assert updates(tmp_path) == list(range(9)), "it waits for the next learner"
        thief, naked = start(far, *LEARN, *credentials("thief")), start(far, *LEARN)
        there = start(far, *LEARN, *credentials("box"), "--name", "there")
        assert simulator.end() == 0, simulator.output + there.output
        assert there.end() == 0, there.output
        assert "here (agents 0-3) is gone: made its 9 updates" in simulator.output
        for stranger, why in ((thief, "our key is not admitted"), (naked, "it wants keys")):
            assert stranger.end() == 2
            assert why in stranger.output
    assert updates(tmp_path) == list(range(len(updates(tmp_path)))), "each once, in order"
    assert final_bytes(tmp_path, "apart") == alone
