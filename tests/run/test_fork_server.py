"""Forked processes live and end as those that are started from scratch.

That they compute the same, bit for bit, is compared in ``test_train.py``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .fork_server import Asked, Server, server
from .processes import (
    ENDLESS,
    Process,
    brigade,
    descendants,
    free_base_port,
    run,
    start,
    wait_for,
    wait_for_ends,
)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Process]:
    """A command that prints to both streams and is refused, forked and not."""
    folder = tmp_path_factory.mktemp("ended")
    words = ["evaluate", "nobody-\udce9", "--seed", "5"]
    found = {}
    for forked in (True, False):
        with brigade(folder, *words, forked=forked) as found[forked]:
            assert found[forked].end() == 2
    return found


def test_it_ends_and_prints_as_one_from_scratch(ended: dict[bool, Process]) -> None:
    assert ended[True].output == ended[False].output
    assert ended[True].output.startswith(r"brigade evaluate: nobody-\udce9: no such file")


def test_nothing_is_left_of_it_in_the_process_table(ended: dict[bool, Process]) -> None:
    assert not Path(f"/proc/{ended[True].popen.pid}").exists()
    assert not descendants(server().pid)


def facts(pid: int) -> dict[str, object]:
    """What the system says of a process."""
    there = Path(f"/proc/{pid}")
    fields = (there / "stat").read_text().rpartition(")")[2].split()
    signals = dict(line.split(":\t") for line in (there / "status").read_text().splitlines())
    links = {int(each.name): str(each.readlink()) for each in (there / "fd").iterdir()}
    return {
        "parent": fields[1] == str(os.getpid()),
        "session": fields[3] == str(pid),
        "folder": str((there / "cwd").readlink()),
        "words": (there / "cmdline").read_bytes().rstrip(b"\0"),
        "environment": sorted((there / "environ").read_bytes().rstrip(b"\0").split(b"\0")),
        "signals": {name: signals[name] for name in ("SigBlk", "SigIgn", "SigCgt")},
        "streams": [links[0], links[1].startswith("/"), links[1] == links[2]],
        "descriptors": sorted(links),
        "files": sorted(link for fd, link in links.items() if fd > 2 and link.startswith("/")),
    }


def test_the_system_sees_it_as_one_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAID", "in this test alone é")
    address = f"tcp://127.0.0.1:{free_base_port()}"
    seen = []
    for forked in (True, False):
        with brigade(tmp_path, "status", address, "--watch", forked=forked) as process:
            process.prints("no answer")
            seen.append(facts(process.popen.pid))
            process.popen.send_signal(signal.SIGINT)
            assert process.end() == 130, process.output
    for each in seen:  # from scratch it takes this out, which /proc does not show
        each["environment"] = [
            line
            for line in each["environment"]  # type: ignore[attr-defined]
            if not line.startswith(b"BRIGADE_IMPORT_PATH=")
        ]
    assert seen[0] == seen[1]
    assert seen[0]["parent"]
    assert "SAID=in this test alone é".encode() in seen[0]["environment"]  # type: ignore[operator]


def test_it_dies_of_a_signal_and_its_children_end(tmp_path: Path) -> None:
    with brigade(tmp_path, "train", *ENDLESS, "--log-interval", "20") as process:
        process.prints("episodes/s")
        children = descendants(process.popen.pid)
        assert len(children) == 2
        for pid in children:
            assert facts(pid)["session"], "each child has a session of its own"
            assert os.getpgid(pid) == pid
        process.popen.kill()
        assert process.end() == -signal.SIGKILL
        wait_for_ends(children, lambda: process.output)


@pytest.mark.parametrize("name", ["PYTHONIOENCODING", "LC_ALL", "PYTHONUTF8"])
def test_what_interpreters_read_when_they_start_is_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}[name])
    with brigade(tmp_path, "--version") as process:
        assert not isinstance(process.popen, Asked)
        assert process.end() == 0


def test_the_streams_are_those_that_were_given(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        with start(tmp_path, "--help", stdout=out, stderr=err) as good:
            pass
        with start(tmp_path, "hlp", stdout=out, stderr=err) as bad:
            pass
    assert (good.returncode, bad.returncode) == (0, 2)
    assert (tmp_path / "out").read_text().startswith("usage: brigade")
    assert (tmp_path / "err").read_text().startswith("brigade: 'hlp' is not a command")


def test_a_folder_that_is_gone_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    with start(tmp_path / "gone", "--help", stdout=subprocess.DEVNULL) as process:
        assert process.wait(60) == 1


def test_the_server_ends_with_who_asks_it(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from tests.run.fork_server import server\n"
        "print(server().pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parent.parent.parent
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    wait_for_ends([pid], lambda: "nobody can ask it")


def test_a_server_that_was_killed_is_replaced(tmp_path: Path) -> None:
    old = server()
    assert isinstance(old, Server)
    os.kill(old.pid, signal.SIGKILL)
    wait_for(lambda: not old.runs, lambda: f"process {old.pid} goes on")
    assert "brigade" in run(tmp_path, "--version")
    assert server().pid != old.pid
