"""A long run in bounded memory: ``BRIGADE_SOAK`` sets for how many seconds (``make soak``: 300)."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from ..run.processes import brigade, descendants

SECONDS = float(os.environ.get("BRIGADE_SOAK", "0"))
MOST_GROWTH = 16 << 20  # bytes, of a process, in the second half of the run
# As many games as can be: of one night, by agents with hardly a brain.
FLAGS = ["--scenario", "default", "--max-nights", "1", "--hidden-size", "8", "--batch-size", "1024"]
FLAGS += ["--update-interval", "16", "--num-games", "1024", "--population-size", "4", "--seed", "1"]
FLAGS += ["--num-episodes", "1000000000", "--checkpoint-interval", "100000", "--keep", "2"]


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not SECONDS, reason="BRIGADE_SOAK is not set; see `make soak`")
@pytest.mark.timeout(SECONDS + 120)
def test_memory_is_flat_over_a_long_run(tmp_path: Path) -> None:
    with brigade(tmp_path, "train", *FLAGS, "--run-name", "soak") as process:
        process.prints("episodes/s")
        children = descendants(process.popen.pid)
        time.sleep(SECONDS / 2)
        halfway = {pid: memory(pid) for pid in children}
        time.sleep(SECONDS / 2)
        growth = {pid: memory(pid) - halfway[pid] for pid in children}
        process.popen.send_signal(signal.SIGINT)
        assert process.end() == 128 + signal.SIGINT, process.output
    lines = (tmp_path / "experiments/marl/checkpoints/soak/metrics.jsonl").read_text().splitlines()
    games = json.loads(lines[-1])["episodes"]
    print(f"{games:,} games, {len(lines):,} updates; growth in the second half: {growth}")
    assert max(growth.values()) < MOST_GROWTH, growth
