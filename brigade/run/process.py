"""What every process of a run does about devices, threads, memory, signals and its parent."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import math
import os
import shutil
import signal
import stat
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from brigade.config import ConfigError
from brigade.run.cores import available_cores
from brigade.typed import PARENT_VARIABLE

# A signal that follows another so soon is the same one, sent to a whole group of processes and
# passed on within it.
SAME_SIGNAL_SECONDS = 1.0
# Longer than any process of a run takes to end in order, writing a large checkpoint included.
GRACE_SECONDS = 30.0
# Of glibc's mallopt(3), and the most that it takes for the second.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES, KEPT_BLOCK_BYTES = 1 << 30, 1 << 25
PIPE_BYTES = 1 << 16  # that a pipe holds
SCRATCH_VARIABLE = "BRIGADE_SCRATCH"  # the launcher's temporary folder


def pick_device(name: str, local_rank: int = 0) -> str:
    """Resolve ``auto|cpu|cuda|cuda:N`` to a device that is there.

    Parameters
    ----------
    local_rank
        The number of this learner on its machine. Where the name leaves open which GPU, they are
        dealt round: with G of them, this is number ``local_rank % G``.

    Raises
    ------
    ConfigError
        It is none of these, or there is no such GPU.
    """
    kind, _, index = name.partition(":")
    if name == "cpu":
        return name
    if kind not in ("auto", "cuda") or (kind == "auto" and index) or (":" in name and not index):
        raise ConfigError(f"--device {name!r} is not one of auto, cpu, cuda, cuda:N")
    if index and not index.isdecimal():
        raise ConfigError(f"--device {name!r}: {index!r} is not the number of a GPU")
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "auto":
        return f"cuda:{local_rank % found}" if found else "cpu"
    if not found:
        raise ConfigError(f"--device {name}: torch sees no CUDA GPU here; use --device cpu")
    if int(index or 0) >= found:
        raise ConfigError(f"--device {name}: there are {found} GPUs, cuda:0 to cuda:{found - 1}")
    return f"cuda:{int(index) if index else local_rank % found}"


def use_device(device: str) -> None:
    """Let this GPU, if it is one, be what torch means where no other is named.

    Pinned memory, for one, is of the GPU that is current, and takes some memory on it.
    """
    if device.startswith("cuda"):
        import torch

        torch.cuda.set_device(device)


def use_threads(count: int) -> None:
    """Let torch compute with so many threads in this process."""
    import torch

    torch.set_num_threads(count)
    # Adam's moments of unused weights fade into denormal numbers, which are slow to compute with.
    torch.set_flush_denormal(True)


def keep_memory() -> None:
    """Keep freed memory for what comes next, where the C library is glibc.

    Messages of megabytes follow one another. To give the memory of each back to the system, and get
    pages for the next from it, took a sixth of a message's time (``bench/transport.py``).
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK_BYTES)


def simulator_threads(devices: Sequence[str]) -> int:
    """Give the simulator its share of the cores, beside learners on these devices.

    It has little to do beside what learners have on a CPU, which is perhaps this one. Beside GPUs
    it has nearly all there is to do, and each learner has a core to give orders from.
    """
    if any(not device.startswith("cuda") for device in devices):
        return 1
    return max(1, available_cores() - len(devices))


def thread_settings(device: str) -> dict[str, str]:
    """Environment for processes of a run whose learners have this device.

    On a CPU they share the cores, so threads that wait sleep. Beside GPUs cores are free, and the
    simulator's threads keep awake for the few microseconds between one product and the next.
    """
    if device == "cpu" or (device == "auto" and not any(Path("/dev").glob("nvidia[0-9]*"))):
        return {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "GOMP_SPINCOUNT": "0"}
    return {}


def on_signals(handler: Callable[[str], object]) -> None:
    """Call ``handler`` with the signal's name at SIGINT and SIGTERM; one that follows ends us hard.

    A launcher's child gets what is sent to all processes of a run (as service managers and batch
    systems do) directly and passed on as well, whenever the launcher comes to it. So it leaves it
    to its launcher to be impatient.
    """
    first = math.inf
    same = GRACE_SECONDS if PARENT_VARIABLE in os.environ else SAME_SIGNAL_SECONDS

    def handle(number: int, frame: object) -> None:
        nonlocal first
        if first < math.inf:
            if time.monotonic() - first > same:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        first = time.monotonic()
        handler(signal.Signals(number).name)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, handle)


def launchers_folder() -> Path | None:
    """The temporary folder of the launcher that started this process, if one did."""
    folder = os.environ.get(SCRATCH_VARIABLE)
    started = os.environ.get(PARENT_VARIABLE) == str(os.getppid())
    return Path(folder) if started and folder else None


def on_launchers_messages(loop: asyncio.AbstractEventLoop, say: Callable[[str], object]) -> None:
    """Call ``say`` with each line that the launcher, if one started us, writes to our input."""
    if launchers_folder() is None or not stat.S_ISFIFO(os.fstat(0).st_mode):
        return

    def read() -> None:
        lines = os.read(0, PIPE_BYTES).decode(errors="replace").splitlines()
        if not lines:  # it is gone
            loop.remove_reader(0)
        for line in lines:
            say(line)

    loop.add_reader(0, read)


def follow_parent() -> None:
    """End in order when the launcher that started this process is gone, however it went.

    Then nobody but its children is left to remove its temporary folder.
    """
    parent = os.environ.get(PARENT_VARIABLE, "")
    scratch = os.environ.get(SCRATCH_VARIABLE, "")
    if not parent.isdecimal():
        return

    def clean() -> None:
        if os.getppid() != int(parent) and scratch:
            shutil.rmtree(scratch, ignore_errors=True)

    atexit.register(clean)

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="follow-parent").start()


def without_windows() -> None:
    """Let what environments show go nowhere: pygame's windows, its sound and its greeting."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
