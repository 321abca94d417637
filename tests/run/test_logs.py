"""Logs: one line of JSON an event, with names for events, and nothing that spoils a live view."""

from __future__ import annotations

import json
import logging
import os
import pty
import select
import signal
import time
from pathlib import Path

import pytest

from brigade.run.logs import note, start_logs
from brigade.wire.endpoints import Endpoint
from brigade.wire.transport import LearnerSockets

from .processes import DEADLINE_SECONDS, ENDLESS, SMALL, descendants, free_base_port, start


@pytest.fixture(autouse=True)
def _loggers_as_they_were():
    before = list(logging.getLogger().handlers)
    yield
    for handler in logging.getLogger().handlers:
        if handler not in before:
            handler.close()
    logging.getLogger().handlers[:] = before


def test_an_event_is_a_line_of_json_with_names_for_all_that_is_in_it(tmp_path, capsys):
    start_logs("learn box", str(tmp_path / "log.jsonl"))
    note("joined", agents=[0, 1])
    logging.getLogger("brigade.sim.learner_server").warning("dropped bad message %d", 4)
    event, warning = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    for line in (event, warning):
        assert line.pop("time").endswith("Z")
    known = {"component": "learn box", "process": os.getpid()}
    assert event == known | {"level": "info", "event": "joined", "agents": [0, 1]}
    text = {"text": "dropped bad message 4", "source": "brigade.sim.learner_server"}
    assert warning == known | {"level": "warning", "event": "warning"} | text
    assert capsys.readouterr().err.endswith("brigade.sim.learner_server: dropped bad message 4\n")


def test_warnings_stand_above_the_live_view_of_a_terminal(tmp_path: Path) -> None:
    port = free_base_port()
    with Screen(tmp_path, "sim", *SMALL, "--bind", f"tcp://127.0.0.1:{port}") as screen:
        screen.shows(b"policy lag")
        stranger = LearnerSockets(Endpoint.parse(f"tcp://127.0.0.1:{port}"))
        stranger.send_control([b"nonsense"])
        screen.shows(b"dropped bad message 1")
        stranger.close()
    assert "brigade.sim.learner_server" in above_the_view(screen.seen, b"dropped bad message 1")


def test_a_lost_learner_is_told_of_above_the_live_view(tmp_path: Path) -> None:
    with Screen(tmp_path, "train", *ENDLESS, "--device", "cpu") as screen:
        screen.shows(b"transitions/s")
        screen.shows(b"playing")
        [learner] = [
            pid
            for pid in descendants(screen.process.pid)
            if b"\0learn\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        os.kill(learner, signal.SIGKILL)
        screen.shows(b"started again (1 of 3)")
        screen.process.send_signal(signal.SIGTERM)
        screen.shows(b"go on with: ")
        assert screen.process.wait(DEADLINE_SECONDS) == 128 + signal.SIGTERM
    line = above_the_view(screen.seen, b"started again (1 of 3)")
    assert line.startswith("brigade train: brigade learn was killed by SIGKILL; ")


class Screen:
    """A command on a terminal of its own, and all that it wrote there."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.seen = b""
        self._screen, terminal = pty.openpty()
        self.process = start(
            folder, *arguments, stdin=terminal, stdout=terminal, stderr=terminal,
            TERM="xterm", COLUMNS="100",
        )  # fmt: skip
        os.close(terminal)

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()  # its children follow
        self.process.wait()
        os.close(self._screen)

    def shows(self, text: bytes) -> None:
        """Read until it has written ``text``."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while text not in self.seen:
            left = max(0, deadline - time.monotonic())
            assert select.select([self._screen], [], [], left)[0], self.seen
            self.seen += os.read(self._screen, 1 << 16)


def above_the_view(seen: bytes, text: bytes) -> str:
    """What stands before ``text`` on its line, which begins where the view was wiped."""
    before = seen[: seen.index(text)]
    assert before.rindex(b"\x1b[2K") > before.rindex(b"policy lag"), "the view is wiped first"
    return before.rpartition(b"\x1b[2K")[2].decode()
