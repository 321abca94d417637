"""A million games and more in bounded memory.

``BRIGADE_SOAK`` sets for how many seconds (``make soak``: 300); half of them must do for a million.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from ..run.processes import brigade, descendants, memory

SECONDS = float(os.environ.get("BRIGADE_SOAK", "0"))
GAMES = 1_000_000
MOST_GROWTH = 16 << 20  # bytes, of a process, in the second half of the run
# As many games as can be: of one night, by agents with hardly a brain.
FLAGS = ["--scenario", "default", "--max-nights", "1", "--hidden-size", "8", "--batch-size", "1024"]
FLAGS += ["--update-interval", "16", "--num-games", "1024", "--population-size", "4", "--seed", "1"]
FLAGS += ["--num-episodes", "1000000000", "--checkpoint-interval", "100000", "--keep", "2"]


@pytest.mark.skipif(not SECONDS, reason="BRIGADE_SOAK is not set; see `make soak`")
@pytest.mark.timeout(SECONDS + 120)
def test_memory_is_flat_over_a_long_run(tmp_path: Path) -> None:
    metrics = tmp_path / "experiments/marl/checkpoints/soak/metrics.jsonl"

    def games() -> int:
        return int(json.loads(metrics.read_text().splitlines()[-1])["episodes"])

    with brigade(tmp_path, "train", *FLAGS, "--run-name", "soak") as process:
        process.prints("episodes/s")
        children = descendants(process.popen.pid)
        time.sleep(SECONDS / 2)
        halfway, before = {pid: memory(pid) for pid in children}, games()
        time.sleep(SECONDS / 2)
        assert descendants(process.popen.pid) == children, "none was lost"
        growth = {pid: memory(pid) - halfway[pid] for pid in children}
        process.popen.send_signal(signal.SIGINT)
        assert process.end() == 128 + signal.SIGINT, process.output
    more = games() - before
    print(f"{before:,} games, then {more:,} while memory grew by {growth} bytes")
    assert more >= GAMES
    assert max(growth.values()) < MOST_GROWTH, growth
