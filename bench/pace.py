"""The pace of a whole ``brigade train`` run, its learners' work included and its start-up not."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from brigade.run.child import child_command, child_environment

WARM_UP_ROWS = 2


def pace(flags: Sequence[str]) -> float:
    """Agent-transitions a second of ``brigade train FLAGS``, from its third rollout on."""
    return speed(metrics(flags))


def speed(rows: Sequence[dict[str, Any]]) -> float:
    """Agent-transitions a second of a run with these metrics, from its third rollout on."""
    # A row is of the moment when its rollout has been played, which waits for earlier updates. The
    # last rollout may be short.
    first, last = rows[WARM_UP_ROWS], rows[-2]
    return float(
        (last["transitions"] - first["transitions"]) / (last["seconds"] - first["seconds"])
    )


def metrics(flags: Sequence[str]) -> list[dict[str, Any]]:
    """Train with these flags and return the rows of metrics."""
    with tempfile.TemporaryDirectory() as folder:
        place = ["--num-episodes=1000000000", f"--checkpoint-dir={folder}", "--run-name=bench"]
        command = child_command("train", *flags, *place)
        environment = os.environ | child_environment()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        lines = (Path(folder) / "bench" / "metrics.jsonl").read_text().splitlines()
    if len(lines) < WARM_UP_ROWS + 3:
        raise SystemExit("--num-transitions is too small for a figure after warm-up")
    return [json.loads(line) for line in lines]
