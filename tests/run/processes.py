"""Real brigade processes for tests: started, waited for with a deadline, and never left behind."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from brigade.run.child import child_command, child_environment

from .fork_server import Asked, starts_alike

DEADLINE_SECONDS = 240.0

# A run of a second or two, and some 20 updates: small networks, short rollouts.
SMALL_EPISODES = 60
SMALL = [
    *("--scenario", "default", "--hidden-size", "32", "--batch-size", "64"),
    *("--update-interval", "8", "--num-games", "16", "--population-size", "4"),
    *("--num-episodes", str(SMALL_EPISODES), "--seed", "7"),
]
ENDLESS = [*SMALL[:-4], "--num-episodes", "1000000", "--seed", "7"]


def start(
    folder: Path,
    *arguments: str,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes] = subprocess.STDOUT,
    prefix: Sequence[str] = (),
    forked: bool = True,
    **variables: str,
) -> subprocess.Popen[bytes]:
    """Start ``brigade ARGUMENTS`` in a session of its own.

    Parameters
    ----------
    prefix
        Words before the command, which say how to run it.
    forked
        Fork it from a process that has loaded torch, where that makes no difference; otherwise it
        is started as a person would, which takes some seconds more.
    variables
        What it finds in its environment beside ours.
    """
    environment = os.environ | child_environment() | variables
    forked = forked and not prefix and starts_alike(environment)
    return (Asked if forked else subprocess.Popen)(
        [*prefix, *child_command(*arguments)],
        cwd=folder,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        env=environment,
    )


class Process:
    """One ``brigade ...`` command, its output going to a file; see :func:`start`."""

    def __init__(
        self, folder: Path, *arguments: str, prefix: Sequence[str] = (), forked: bool = True
    ) -> None:
        self.arguments = arguments
        self._path = folder / f"output-{time.monotonic_ns()}.txt"
        with self._path.open("wb") as output:
            self.popen = start(
                folder, *arguments, stdout=output, prefix=prefix, forked=forked, COLUMNS="120"
            )

    @property
    def output(self) -> str:
        """All that it has printed."""
        return self._path.read_text(errors="replace")

    def end(self, deadline: float = DEADLINE_SECONDS) -> int:
        """Wait for its end; return its exit code."""
        try:
            return self.popen.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.arguments} goes on: {self.output}") from None

    def prints(self, text: str) -> None:
        """Wait until it has printed ``text``."""
        wait_for(lambda: text in self.output or self.popen.poll() is not None, lambda: self.output)
        assert text in self.output, self.output


@contextmanager
def brigade(
    folder: Path, *arguments: str, prefix: Sequence[str] = (), forked: bool = True
) -> Iterator[Process]:
    """Start a command; kill whatever is left of it at the end."""
    process = Process(folder, *arguments, prefix=prefix, forked=forked)
    try:
        yield process
    finally:
        for pid in [process.popen.pid, *descendants(process.popen.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.popen.wait(10)


def run(folder: Path, *arguments: str, forked: bool = True) -> str:
    """Run a command to its end, which must be a good one; return what it printed."""
    with brigade(folder, *arguments, forked=forked) as process:
        code = process.end()
        assert code == 0, process.output
        return process.output


def wait_for(condition: Callable[[], bool], describe: Callable[[], str]) -> None:
    """Wait until the condition holds, with a deadline, after which ``describe`` says what is."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {describe()}"
        time.sleep(0.02)


def descendants(pid: int) -> list[int]:
    """Processes that descend from ``pid`` now."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found, frontier = [], [pid]
    while frontier:
        frontier = [child for child, parent in parents.items() if parent in frontier]
        found += frontier
    return found


def wait_for_ends(pids: Sequence[int], describe: Callable[[], str]) -> None:
    """Wait until none of these processes runs."""
    wait_for(
        lambda: not any(map(alive, pids)),
        lambda: f"{[pid for pid in pids if alive(pid)]} of {pids} go on: {describe()}",
    )


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and is not waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def memory(pid: int) -> int:
    """Resident bytes of a process but those of mapped files (libraries); 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def free_base_port(count: int = 8) -> int:
    """A port after which ``count`` ports in a row are free; none that clients are given.

    Another time it is another: what asked before has perhaps not bound its ports yet.
    """
    for _ in range(100):
        base = 10000 + secrets.randbelow((32000 - 10000) // count) * count
        sockets = [socket.socket() for _ in range(count)]
        try:
            for offset, each in enumerate(sockets):
                each.bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
    raise AssertionError("no free ports")
