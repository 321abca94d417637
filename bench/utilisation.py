"""How busy a GPU is, as ``nvidia-smi`` sees it ten times a second."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import torch

COMMAND = "nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits --loop-ms=100"


@contextmanager
def utilisation(device: torch.device) -> Iterator[list[float]]:
    """Collect, while in here, percentages of time with a kernel running; none for a CPU.

    The list is filled on leaving.
    """
    seen: list[float] = []
    if device.type != "cuda":
        yield seen
        return
    identity = f"--id=GPU-{torch.cuda.get_device_properties(device).uuid}"
    with tempfile.TemporaryFile("w+") as output:
        watcher = subprocess.Popen([*COMMAND.split(), identity], stdout=output)
        try:
            yield seen
        finally:
            watcher.terminate()
            watcher.wait()
            output.seek(0)
            seen += [float(line) for line in output if line.strip().isdigit()]


def told(seen: list[float]) -> str:
    """Say it for people; nothing where nothing was seen."""
    return f"; GPU busy {statistics.mean(seen):.0f}% of the time" if seen else ""
