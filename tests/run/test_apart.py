"""Simulator and learners apart, with keys, as on several machines: taken over, asked, refused."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from brigade.cli import main

from .processes import ENDLESS, brigade, free_base_port, run, wait_for


def status(capfd: object, *flags: str) -> dict[str, object]:
    assert main(["status", *flags, "--json"]) == 0
    return json.loads(capfd.readouterr().out.splitlines()[-1])  # type: ignore[attr-defined]


def test_a_run_with_keys_loses_a_learner_and_goes_on(tmp_path: Path, capfd: object) -> None:
    folder = str(tmp_path / "keys")
    for words in (["new", "sim"], ["new", "box"], ["new", "thief"], ["admit", f"{folder}/box.pub"]):
        assert main(["keys", *words, "--folder", folder]) == 0
    assert main(["keys", "new", "sim", "--folder", folder]) == 2, "never written over"
    address = f"tcp://127.0.0.1:{free_base_port()}"

    def credentials(name: str) -> list[str]:
        return ["--key", f"{folder}/{name}.key", "--server-key", f"{folder}/sim.pub"]

    learn = ["learn", "--connect", address, "--device", "cpu", "--threads", "1"]
    sim = ["sim", *ENDLESS, "--bind", address, "--key", f"{folder}/sim.key", "--run-name", "apart"]
    log = tmp_path / "events.jsonl"
    sim += ["--lease", "2", "--log-file", str(log), "--checkpoint-interval", "100"]
    with brigade(tmp_path, *sim) as simulator:
        simulator.prints("learners attach with")
        with brigade(tmp_path, *learn, "--name", "first", *credentials("box")) as first:
            simulator.prints("first learns agents 0-3")
            wait_for(
                lambda: "checkpoint_" in log.read_text(),
                lambda: f"{simulator.output}\n{first.output}",
            )
            before = status(capfd, address, *credentials("box"))
            os.kill(first.popen.pid, signal.SIGKILL)
        second = [
            *learn,
            "--name",
            "second",
            *credentials("box"),
            "--stand-by",
            "--max-updates",
            "9",
        ]
        said = run(tmp_path, *second)
        assert "second: made its 9 updates" in said
        after = status(capfd, address, *credentials("box"))
        assert main(["status", address, *credentials("thief")]) == 2, "not admitted"
        assert main(["status", address]) == 2, "no key"
        simulator.popen.send_signal(signal.SIGTERM)
        assert simulator.end() == 0, simulator.output
        assert "refused connection 1 from 127.0.0.1: unknown key" in simulator.output
        assert "a client without CURVE" in simulator.output
    [learner] = before["learners"]  # type: ignore[misc]
    assert learner["agents"] == [0, 1, 2, 3]
    assert after["learners"] == []
    [remark] = after["remarks"]
    assert re.fullmatch(r"agents 0-3 have no learner and the run has waited \d+ s for one", remark)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "started"
    assert kinds.count("joined") == 2
    assert [e["learner"] for e in events if e["event"] == "left"] == ["first", "second"]
    secret = json.loads(Path(folder, "sim.key").read_text())["secret"]
    assert secret not in log.read_text() + simulator.output
    rows = (tmp_path / "experiments/marl/checkpoints/apart/metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["update"] for row in rows] == list(range(len(rows)))


def test_a_key_that_is_revoked_ends_its_learner_and_another_takes_over(tmp_path: Path) -> None:
    folder = str(tmp_path / "keys")
    for words in (["new", "sim"], ["new", "box"], ["new", "lab"]):
        assert main(["keys", *words, "--folder", folder]) == 0
    for name in ("box", "lab"):
        assert main(["keys", "admit", f"{folder}/{name}.pub", "--folder", folder]) == 0
    address = f"tcp://127.0.0.1:{free_base_port()}"
    server = json.loads(Path(folder, "sim.pub").read_text())["public"]

    def learn(name: str) -> list[str]:
        credentials = ["--key", f"{folder}/{name}.key", f"--server-key={server}"]
        return ["learn", "--connect", address, "--device", "cpu", "--threads", "1", *credentials]

    sim = ["sim", *ENDLESS, "--bind", address, "--key", f"{folder}/sim.key", "--run-name", "keys"]
    log = tmp_path / "events.jsonl"
    with (
        brigade(tmp_path, *sim, "--log-file", str(log)) as simulator,
        brigade(tmp_path, *learn("box"), "--name", "first") as first,
    ):
        wait_for(
            lambda: '"update"' in log.read_text() if log.exists() else False,
            lambda: f"{simulator.output}\n{first.output}",
        )
        assert main(["keys", "revoke", "box", "--folder", folder]) == 0
        assert first.end(10) == 2, first.output
        assert "brigade learn: your key was revoked" in first.output
        simulator.prints("first (agents 0-3) is gone: its key was revoked")
        with brigade(tmp_path, *learn("box")) as again:
            assert again.end() == 2
            assert "our key is not admitted" in again.output
        said = run(tmp_path, *learn("lab"), "--name", "second", "--max-updates", "3")
        assert "second: made its 3 updates" in said
        simulator.popen.send_signal(signal.SIGTERM)
        assert simulator.end() == 0, simulator.output


@pytest.mark.parametrize("what", ["freeze", "fail"])
def test_a_lost_learner_is_followed_by_what_the_run_was_told(tmp_path: Path, what: str) -> None:
    address = f"ipc://{tmp_path.parent}/c"
    sim = ["sim", *ENDLESS, "--bind", address, "--run-name", "loss", "--lease", "2"]
    learn = ["learn", "--connect", address, "--device", "cpu", "--threads", "1"]
    metrics = tmp_path / "experiments/marl/checkpoints/loss/metrics.jsonl"

    def updates() -> int:
        return metrics.read_bytes().count(b"\n") if metrics.exists() else 0

    with (
        brigade(tmp_path, *sim, "--on-learner-loss", what) as simulator,
        brigade(tmp_path, *learn, "--agents", "0-2", "--name", "stays") as stays,
        brigade(tmp_path, *learn, "--agents", "3", "--name", "goes") as goes,
    ):
        wait_for(
            lambda: updates() > 2,
            lambda: f"{simulator.output}\n{stays.output}\n{goes.output}",
        )
        os.kill(goes.popen.pid, signal.SIGKILL)
        simulator.prints("goes (agent 3) is gone: silent for 2 s")
        if what == "fail":
            assert simulator.end() == 1
            line = "brigade sim: goes (agent 3) is gone: silent for 2 s"
            assert simulator.output.splitlines()[-1] == line
            assert stays.end() == 1
            assert "the run failed: goes (agent 3) is gone" in stays.output
            return
        before = updates()
        wait_for(lambda: updates() > before + 5, lambda: f"{simulator.output}\n{stays.output}")
        lags = json.loads(metrics.read_text().splitlines()[-2])["agents"]["lag"]
        assert [lag is None for lag in lags] == [False, False, False, True]
        said = run(tmp_path, *learn, "--agents", "3", "--name", "comes", "--max-updates", "3")
        assert "comes: made its 3 updates" in said
        simulator.popen.send_signal(signal.SIGTERM)
        assert simulator.end() == 0, simulator.output
        assert stays.end() == 0, stays.output
