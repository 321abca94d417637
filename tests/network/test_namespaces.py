"""Simulator and learner on two hosts: network namespaces, a virtual cable, and what befalls it.

Needs root, iproute2 and tc. ``BRIGADE_CUT`` sets for how many seconds the cable is cut.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..run.processes import SMALL, Process, wait_for
from ..run.test_train import final_bytes

CUT_SECONDS = float(os.environ.get("BRIGADE_CUT", "0"))
ADDRESS = "tcp://10.77.0.1:5750"
FLAGS = [*SMALL[:-4], "--num-episodes", "400", "--seed", "7", "--sync", "lockstep"]
HOSTS = ("brigade-a", "brigade-b")


def ip(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def on(host: str, *words: str) -> None:
    ip("ip", "netns", "exec", host, *words)


@pytest.fixture(params=["good", "slow and lossy"])
def cable(request: pytest.FixtureRequest) -> Iterator[None]:
    """Two hosts and a cable, with 20 ms of latency and 1% loss each way or without."""
    if not CUT_SECONDS:
        pytest.skip("BRIGADE_CUT is not set; see `make torture`")
    if not (shutil.which("ip") and shutil.which("tc")):
        pytest.skip("ip and tc (iproute2) are not installed")
    try:
        for host in HOSTS:
            ip("ip", "netns", "add", host)
        ip("ip", "link", "add", "va", "netns", HOSTS[0], "type", "veth",
           "peer", "name", "vb", "netns", HOSTS[1])  # fmt: skip
        for host, link, address in zip(
            HOSTS, ("va", "vb"), ("10.77.0.1", "10.77.0.2"), strict=True
        ):
            on(host, "ip", "addr", "add", f"{address}/24", "dev", link)
            on(host, "ip", "link", "set", link, "up")
            on(host, "ip", "link", "set", "lo", "up")
        try:
            for host, link in zip(HOSTS, ("va", "vb"), strict=True):
                netem = ["netem", "delay", "20ms", "loss", "1%"]
                if request.param != "good":
                    on(host, "tc", "qdisc", "add", "dev", link, "root", *netem)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"tc netem is not permitted here: {error.stderr.decode().strip()}")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces are not permitted here: {error.stderr.decode().strip()}")
    else:
        yield
    finally:
        for host in HOSTS:
            subprocess.run(["ip", "netns", "del", host], capture_output=True)


def test_a_cable_that_is_cut_changes_nothing_but_the_time(
    cable: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = Process(tmp_path, "train", *FLAGS, "--run-name", "alone")
    assert alone.end() == 0, alone.output

    def start(host: str, *words: str) -> Process:
        return Process(tmp_path, *words, prefix=("ip", "netns", "exec", host))

    sim = start(HOSTS[0], "sim", *FLAGS, "--run-name", "apart", "--bind", ADDRESS,
                "--insecure", "--lease", "4")  # fmt: skip
    learner = start(HOSTS[1], "learn", "--connect", ADDRESS, "--device", "cpu",
                    "--threads", "1", "--name", "far")  # fmt: skip
    try:
        wait_for(lambda: (tmp_path / "experiments/marl/checkpoints/apart/metrics.jsonl").exists()
                 and "learns" in sim.output, lambda: sim.output)  # fmt: skip
        time.sleep(2)
        on(HOSTS[0], "ip", "link", "set", "va", "down")
        time.sleep(CUT_SECONDS)
        on(HOSTS[0], "ip", "link", "set", "va", "up")
        assert sim.end(60 + 3 * CUT_SECONDS) == 0, sim.output + learner.output
        learner.end()
    finally:
        for process in (sim, learner):
            if process.popen.poll() is None:
                process.popen.kill()
    print(sim.output, learner.output, file=sys.stderr)
    assert "far (agents 0-3) is gone: silent for 4 s" in sim.output
    assert final_bytes(tmp_path, "apart") == final_bytes(tmp_path, "alone")
