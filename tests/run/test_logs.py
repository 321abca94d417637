"""Logs: one line of JSON an event, with names for events, and nothing that spoils a live view."""

from __future__ import annotations

import json
import logging
import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

from brigade.run.child import child_command, child_environment
from brigade.run.logs import note, start_logs
from brigade.wire.endpoints import Endpoint
from brigade.wire.transport import LearnerSockets

from .processes import DEADLINE_SECONDS, SMALL, free_base_port


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
    logging.getLogger("brigade.sim.desk").warning("dropped bad message %d", 4)
    event, warning = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    for line in (event, warning):
        assert line.pop("time").endswith("Z")
    known = {"component": "learn box", "process": os.getpid()}
    assert event == known | {"level": "info", "event": "joined", "agents": [0, 1]}
    text = {"text": "dropped bad message 4", "source": "brigade.sim.desk"}
    assert warning == known | {"level": "warning", "event": "warning"} | text
    assert capsys.readouterr().err.endswith("brigade.sim.desk: dropped bad message 4\n")


def test_warnings_stand_above_the_live_view_of_a_terminal(tmp_path: Path) -> None:
    port = free_base_port()
    screen, terminal = pty.openpty()
    command = child_command("sim", *SMALL, "--bind", f"tcp://127.0.0.1:{port}")
    simulator = subprocess.Popen(
        command, cwd=tmp_path, stdin=terminal, stdout=terminal, stderr=terminal,
        env=os.environ | child_environment() | {"TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(terminal)
    seen = b""

    def read_until(text: bytes) -> None:
        nonlocal seen
        deadline = time.monotonic() + DEADLINE_SECONDS
        while text not in seen:
            assert select.select([screen], [], [], max(0, deadline - time.monotonic()))[0], seen
            seen += os.read(screen, 1 << 16)

    try:
        read_until(b"policy lag")
        stranger = LearnerSockets(Endpoint.parse(f"tcp://127.0.0.1:{port}"))
        stranger.send_control([b"nonsense"])
        read_until(b"dropped bad message 1")
        stranger.close()
    finally:
        simulator.kill()
        simulator.wait()
        os.close(screen)
    before = seen[: seen.index(b"dropped bad message 1")]
    assert before.rindex(b"\x1b[2K") > before.rindex(b"policy lag"), "the view is wiped first"
    assert "brigade.sim.desk" in before.rpartition(b"\x1b[2K")[2].decode()
