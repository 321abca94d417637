"""How long `brigade train` takes to end in order after Ctrl-C, by size of the population.

Each run is stopped some seconds after its first update, in the middle of another. Told are seconds
from the signal to the end of all processes, and the size of the final checkpoint, which is read.

    python bench/stopping.py [8x64 8x512 32x1024] [--repeats 3]
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from brigade.run.child import child_command, child_environment
from brigade.store.checkpoint import load

LATER_SECONDS = 3.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sizes", nargs="*", default=["8x64", "8x512", "32x1024"])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for size in options.sizes:
        agents, hidden = size.split("x")
        for _ in range(options.repeats):
            with tempfile.TemporaryDirectory() as folder:
                print(f"{size}: {stop(int(agents), int(hidden), Path(folder))}", flush=True)


def stop(agents: int, hidden: int, folder: Path) -> str:
    """Begin a run, stop it, and say how that went."""
    flags = [
        *("--scenario", "default", "--num-episodes", "1000000000", "--seed", "1"),
        *("--population-size", str(agents), "--hidden-size", str(hidden)),
        *("--checkpoint-dir", str(folder), "--run-name", "run"),
    ]
    metrics = folder / "run" / "metrics.jsonl"
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            child_command("train", *flags),
            stdout=output,
            stderr=output,
            env=os.environ | child_environment(),
        )
        while not (metrics.exists() and metrics.read_bytes().count(b"\n") >= 1):
            if process.poll() is not None:
                raise SystemExit((folder / "output").read_text())
            time.sleep(0.1)
        time.sleep(LATER_SECONDS)
        process.send_signal(signal.SIGINT)
        started = time.perf_counter()
        process.wait()
        seconds = time.perf_counter() - started
    final = folder / "run" / "final_checkpoint.pt"
    episodes = load(final).statistics["total_episodes"]
    megabytes = final.stat().st_size / 1e6
    return f"{seconds:.1f} s, {megabytes:.0f} MB, at {episodes:,} episodes"


if __name__ == "__main__":
    main()
