"""A process that is suspended for a while: memory stays bounded, and the run goes on by itself.

``BRIGADE_SUSPEND`` sets for how many seconds (``make torture``: 30).
"""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from ..run.processes import ENDLESS, Process, brigade, free_base_port, memory, wait_for

SECONDS = float(os.environ.get("BRIGADE_SUSPEND", "3.5"))
LEASE = min(15.0, SECONDS - 1.5)
SIMULATOR_TIMEOUT = 15.0
MOST_GROWTH = 16 << 20  # bytes


def test_the_run_goes_on_when_a_suspended_process_does(tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_base_port()}"
    metrics = tmp_path / "experiments/marl/checkpoints/nap/metrics.jsonl"
    sim = ["sim", *ENDLESS, "--sync", "async", "--bind", address, "--run-name", "nap"]
    learn = ["learn", "--connect", address, "--device", "cpu", "--threads", "1", "--name", "dozer"]

    def updates() -> int:
        return metrics.read_bytes().count(b"\n") if metrics.exists() else 0

    def suspend(sleeper: Process, other: Process) -> None:
        """Suspend one; what the other holds meanwhile is bounded, and updates come after."""
        os.kill(sleeper.popen.pid, signal.SIGSTOP)
        time.sleep(1)  # what was on its way arrives
        before, made = memory(other.popen.pid), updates()
        time.sleep(SECONDS - 1)
        assert updates() == made, "nothing is learned without it"
        assert memory(other.popen.pid) - before < MOST_GROWTH
        os.kill(sleeper.popen.pid, signal.SIGCONT)
        wait_for(lambda: updates() > made + 5, lambda: simulator.output + learner.output)

    with (
        brigade(tmp_path, *sim, "--lease", str(LEASE)) as simulator,
        brigade(tmp_path, *learn) as learner,
    ):
        wait_for(lambda: updates() > 2, lambda: simulator.output + learner.output)
        suspend(learner, simulator)
        assert f"dozer (agents 0-3) is gone: silent for {LEASE:.0f} s" in simulator.output
        # Some of its agents' versions may have arrived before it was suspended.
        assert re.search(r"waiting for a learner of agents? [0-3]", simulator.output)
        assert simulator.output.count("dozer learns agents 0-3") == 2
        assert learner.output.count("the simulator: your lease has run out") == 1
        suspend(simulator, learner)
        if SECONDS > SIMULATOR_TIMEOUT:
            assert "the simulator is silent: waiting for run" in learner.output
        else:
            assert simulator.output.count("is gone") == 1, "it was the simulator that was silent"
        simulator.popen.send_signal(signal.SIGTERM)
        assert simulator.end() == 0, simulator.output
        assert learner.end() == 0, learner.output
