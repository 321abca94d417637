"""Names and paths of any kind: they come through, or are refused by the command that was typed."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from brigade.cli import main
from brigade.printable import UNPRINTABLE

from .processes import ENDLESS, SMALL, Process, brigade, free_base_port, run, wait_for

# What terminals obey, what Rich takes for markup or an emoji, bytes that are not UTF-8, and words
# that look like flags. A path may have all of that.
ODD = "-\n\x1b[31m [/red][bold] :fire: \u202e火\udce9"
SHOWN = r"-\n\x1b[31m [/red][bold] :fire: \u202e火\udce9"


def assert_plain(text: str) -> None:
    """Whatever was printed was for reading only."""
    found = re.search(f"[{UNPRINTABLE}]", text.replace("\n", ""))
    assert found is None, text


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    folder = tmp_path / ODD
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        pytest.skip(f"this file system has no such names: {error}")
    return folder


def test_a_run_in_a_folder_of_any_name_comes_through_all_its_files(
    tmp_path: Path,
    odd: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (odd / "mine.toml").write_text('base = "default"\nname = "[red]:fire: Zoë"\n')
    place = [f"--checkpoint-dir={ODD}/runs", "--run-name=-Zoë火", f"--log-file={ODD}/log"]
    # Its own name cannot be in messages, but that of a scenario beside it can.
    (tmp_path / "-[red].toml").symlink_to(odd / "mine.toml")
    few = ["--num-episodes", "1", "--scenario=-[red].toml", "--device", "cpu"]
    output = run(tmp_path, "train", *SMALL, *place, *few)
    assert_plain(output)
    assert f"{SHOWN}/runs/-Zoë火" in output.splitlines()[0]
    folder = odd / "runs" / "-Zoë火"
    assert f"final checkpoint: {SHOWN}/runs/-Zoë火/final_checkpoint.pt" in output.splitlines()
    assert json.loads((folder / "config.json").read_text())["run_name"] == "-Zoë火"
    assert list(folder.glob("events.out.tfevents.*"))
    events = [json.loads(line) for line in (odd / "log").read_text().splitlines()]
    assert [e["path"] for e in events if e["event"] == "checkpoint"][-1].startswith(f"{ODD}/runs/")
    monkeypatch.chdir(tmp_path)
    assert (
        main(["evaluate", f"{folder}/final_checkpoint.pt", "--episodes", "2", "--max-nights", "9"])
        == 0
    )
    output = capfd.readouterr().out
    assert_plain(output)
    assert f"{SHOWN}/runs/-Zoë火/final_checkpoint.pt on [red]:fire: Zoë: 2 games" in output
    assert main(["train", *place]) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert_plain(line)
    assert f"run {SHOWN}/runs/-Zoë火 exists" in line


def test_names_of_any_writing_are_told_by_all_processes_to_all_terminals(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_name, learner_name = "Zoë" + "火" * 80, "[/red] :fire: שלום " + "ß" * 200
    address = f"tcp://127.0.0.1:{free_base_port()}"
    sim = ["sim", *ENDLESS, "--bind", address, "--run-name", run_name, "--log-interval", "20"]
    learn = ["learn", "--connect", address, "--device", "cpu", "--name", learner_name]
    with brigade(tmp_path, *sim) as simulator, brigade(tmp_path, *learn) as learner:
        simulator.prints(f"{learner_name} learns agents 0-3 on cpu")
        simulator.prints("episodes/s")
        assert main(["status", address, "--json"]) == 0
        report = json.loads(capfd.readouterr().out)
        assert report["run_name"] == run_name
        assert [each["name"] for each in report["learners"]] == [learner_name]
        assert main(["status", address]) == 0
        assert f"run{run_name}" in "".join(capfd.readouterr().out.split())
        monkeypatch.setenv("PYTHONIOENCODING", "ascii")
        said = run(tmp_path, "status", address)
        assert said.isascii()
        assert r"runZo\xeb\u706b\u706b" in "".join(said.split())
        simulator.popen.send_signal(signal.SIGTERM)
        assert simulator.end() == 0, simulator.output
        assert learner.end() == 0, learner.output
        assert f"{learner_name}: " in learner.output


def test_a_terminal_of_few_characters_sees_a_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    few = ["--num-episodes", "1", "--device", "cpu", "--run-name", "Zoë"]
    output = run(tmp_path, "train", *SMALL, *few)
    assert output.isascii()
    assert r"/Zo\xeb/final_checkpoint.pt" in output


def test_a_disk_that_cannot_be_written_is_named_whatever_its_name(
    tmp_path: Path, odd: Path
) -> None:
    sim = ["sim", *ENDLESS, "--log-interval", "20", "--checkpoint-interval", "10"]
    address = f"ipc://{tmp_path.parent}/c"
    place = [f"--checkpoint-dir={ODD}/runs", "--run-name", "one", "--bind", address]
    learn = ["learn", "--connect", address, "--device", "cpu"]
    with brigade(tmp_path, *sim, *place) as simulator, brigade(tmp_path, *learn) as learner:
        wait_for(
            lambda: (odd / "runs" / "one" / "metrics.jsonl").exists(),
            lambda: f"{simulator.output}\n{learner.output}",
        )
        (odd / "runs").rename(odd / "moved")
        (odd / "runs").write_text("in the way")
        assert simulator.end() == 1
        assert learner.end() == 1, "it was told, and nothing broke on the way"
        for process in (simulator, learner):
            assert_plain(process.output)
            assert f"in {SHOWN}/runs/one: " in process.output.splitlines()[-1]


def test_what_strangers_say_is_logged_in_one_line(tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_base_port()}"
    with brigade(tmp_path, "sim", *SMALL, "--bind", address) as simulator:
        simulator.prints("learners attach with")
        stranger(address, simulator)
        assert_plain(simulator.output)


def stranger(address: str, simulator: Process) -> None:
    """Say something to a simulator that it will quote."""
    import msgpack

    from brigade.wire.endpoints import Endpoint
    from brigade.wire.messages import PROTOCOL
    from brigade.wire.transport import LearnerSockets

    sockets = LearnerSockets(Endpoint.parse(address))
    odd = "\x1b[2J\n\u202e"
    body = {"type": "heartbeat", "protocol": PROTOCOL, "run": "r", odd: 1, "arrays": []}
    sockets.send_control([msgpack.packb(body)])
    simulator.prints("dropped bad message 1")
    sockets.close()


@pytest.mark.parametrize(
    ("action", "what"),
    [("admit", "/proc/no/such"), ("revoke", "x" * 64), ("new", "x" * 64), ("new", "é" * 64)],
)
def test_keys_that_cannot_be_written_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str, what: str
) -> None:
    blocked = tmp_path / "a\nfile"
    blocked.write_text("")
    assert main(["keys", action, what, "--folder", str(blocked / "keys")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("brigade keys: ")
    assert main(["keys", "new", "mine", "--folder", str(tmp_path)]) == 0
    capsys.readouterr()
    pub = os.fspath(tmp_path / "mine.pub")
    assert main(["keys", "admit", pub, "--folder", str(blocked / "keys")]) == 2
    assert r"a\nfile/keys" in capsys.readouterr().err
