"""How many cores a process may use: its affinity, its cgroups' quotas, and OMP_NUM_THREADS."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath


def available_cores() -> int:
    """Cores that this process may use, at least 1.

    The least of what its affinity, the CPU quotas of its cgroups (which containers and batch
    systems set) and ``OMP_NUM_THREADS`` allow. Part of a core counts as one.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return int(max(1, min(cores, quota(Path("/")), threads_allowed(os.environ))))


def threads_allowed(environment: Mapping[str, str]) -> float:
    """Threads that ``OMP_NUM_THREADS`` allows; infinitely many where it says nothing.

    Of a list, which is for nested parallel regions, the first number counts (OpenMP 5.2, 21.1.2).
    """
    first = environment.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if re.fullmatch(r"0*[1-9][0-9]{0,8}", first) else math.inf


def quota(root: Path) -> float:
    """Whole cores that the CPU quotas of this process's cgroups allow; infinitely many without.

    A quota holds for all that is below it, so the least of a cgroup's own and its ancestors' counts
    (Linux kernel, cgroup-v2.rst, ``cpu.max``; cgroup v1: sched-bwc.rst, ``cpu.cfs_quota_us``).

    Parameters
    ----------
    root
        The folder under which ``proc/self`` and the mounted cgroup hierarchies are found.
    """
    bandwidth = min((_bandwidth(folder) for folder in _folders(root)), default=math.inf)
    return bandwidth if bandwidth == math.inf else max(1, math.ceil(bandwidth))


def _folders(root: Path) -> Iterator[Path]:
    """Folders of this process's cgroups and of their ancestors, as far as they are mounted."""
    try:
        memberships, mounts = (
            os.fsdecode((root / "proc/self" / name).read_bytes()).rstrip("\n").split("\n")
            for name in ("cgroup", "mountinfo")
        )
    except OSError:  # another system than Linux
        return
    paths: dict[str, str] = {}  # of the process in the hierarchies that can have quotas
    for line in memberships:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            paths["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            paths["cgroup"] = path
    for line in mounts:
        # proc(5): number, parent, device, root, mount point, options, ..., "-", type, source, ...
        left, _, right = line.partition(" - ")
        place, (kind, _, options) = left.split(" "), right.split(" ", 2)
        if kind not in paths or (kind == "cgroup" and "cpu" not in options.split(",")):
            continue
        top, point = map(_unescaped, place[3:5])
        folder = root / point.lstrip("/")
        inside = PurePosixPath(paths[kind])
        # In a container the path may be one that the mount does not show: then its top is ours.
        below = inside.relative_to(top).parts if inside.is_relative_to(top) else ()
        yield folder
        for part in below if ".." not in below else ():
            folder /= part
            yield folder


def _bandwidth(folder: Path) -> float:
    """Cores that a cgroup's own quota allows, such as 1.5; infinitely many without one."""
    try:
        if (folder / "cpu.max").exists():
            allowed, period = (folder / "cpu.max").read_text().split()
        else:
            allowed = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        cores = int(allowed) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max", or no such file
        return math.inf
    return cores if cores > 0 else math.inf  # -1 is none


def _unescaped(text: str) -> str:
    r"""Read a path of mountinfo, where a space is ``\040``."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
