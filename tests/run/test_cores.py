"""Cores are counted as they are dealt out: by affinity, the quotas of all cgroups above, OpenMP."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brigade.run.cores import available_cores, quota, threads_allowed


def machine(root: Path, membership: str, mounts: Sequence[str], files: dict[str, str]) -> Path:
    """A root folder as a process with this ``/proc/self/cgroup`` and these mounts would see it."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(membership)
    rest = ["22 1 0:1 / / rw shared:1 - ext4 /dev/vda rw", "23 22 0:5 / /proc rw - proc proc rw"]
    (root / "proc/self/mountinfo").write_text("\n".join([*rest, *mounts]) + "\n")
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


UNIFIED = "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
CPU = "31 22 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:5 - cgroup cgroup rw,cpu,cpuacct"
MEMORY = "32 22 0:28 / /sys/fs/cgroup/memory rw shared:6 - cgroup cgroup rw,memory"
# As in a container of the first version: the hierarchy's own part is mounted as if it were all.
PART = "31 22 0:27 /docker/ab /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu"
SLURM = "/system.slice/slurm.scope/job_7/step_0"

V2 = "sys/fs/cgroup"
V1 = "sys/fs/cgroup/cpu,cpuacct"


def first_version(folder: str, allowed: int, period: int = 100_000) -> dict[str, str]:
    return {
        f"{folder}/cpu.cfs_quota_us": f"{allowed}\n",
        f"{folder}/cpu.cfs_period_us": f"{period}\n",
    }


@pytest.mark.parametrize(
    ("membership", "mounts", "files", "cores"),
    [
        ("0::/\n", [UNIFIED], {}, math.inf),
        ("0::/\n", [UNIFIED], {f"{V2}/cpu.max": "max 100000\n"}, math.inf),
        ("0::/\n", [UNIFIED], {f"{V2}/cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", [UNIFIED], {f"{V2}/cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", [UNIFIED], {f"{V2}/cpu.max": "1000 100000\n"}, 1),
        (f"0::{SLURM}\n", [UNIFIED], {f"{V2}{SLURM}/cpu.max": "400000 100000\n"}, 4),
        # The quota of an ancestor counts, and of several the least.
        (f"0::{SLURM}\n", [UNIFIED], {f"{V2}/system.slice/cpu.max": "300000 100000\n"}, 3),
        (
            f"0::{SLURM}\n",
            [UNIFIED],
            {
                f"{V2}/system.slice/cpu.max": "300000 100000\n",
                f"{V2}{SLURM}/cpu.max": "800000 100000\n",
                f"{V2}/other.slice/cpu.max": "100000 100000\n",
            },
            3,
        ),
        ("7:cpu,cpuacct:/a\n0::/b\n", [CPU, MEMORY], first_version(f"{V1}/a", 250_000), 3),
        ("7:cpu,cpuacct:/a\n", [CPU], first_version(f"{V1}/a", -1), math.inf),
        ("7:cpu,cpuacct:/a/b\n", [CPU], first_version(f"{V1}/a", 50_000, 25_000), 2),
        ("7:cpuset:/a\n", [CPU], first_version(f"{V1}/a", 50_000), math.inf),
        ("7:cpu:/docker/ab\n", [PART], first_version("sys/fs/cgroup/cpu", 300_000), 3),
        ("7:cpu:/docker/ab/c\n", [PART], first_version("sys/fs/cgroup/cpu/c", 300_000), 3),
        # Joined from outside of what is mounted: the top is the nearest ancestor that shows.
        ("0::/../x\n", [UNIFIED], {f"{V2}/cpu.max": "100000 100000\n"}, 1),
        ("7:cpu:/elsewhere\n", [PART], first_version("sys/fs/cgroup/cpu", 300_000), 3),
        # Both versions at once, as systemd once mounted them.
        (
            "7:cpu,cpuacct:/a\n0::/b\n",
            [CPU, UNIFIED.replace("cgroup rw", "cgroup/unified rw", 1)],
            first_version(f"{V1}/a", 200_000) | {f"{V2}/unified/b/cpu.max": "100000 100000\n"},
            1,
        ),
        (
            "0::/a b\n",
            [UNIFIED.replace("/sys/fs/cgroup", r"/my\040groups")],
            {"my groups/a b/cpu.max": "100000 100000\n"},
            1,
        ),
        ("0::/\n", [UNIFIED], {f"{V2}/cpu.max": "nonsense\n"}, math.inf),
        ("0::/\n", [UNIFIED], {f"{V2}/cpu.max": "100000 0\n"}, math.inf),
    ],
)
def test_the_quotas_that_hold_for_this_process_count(
    tmp_path: Path, membership: str, mounts: Sequence[str], files: dict[str, str], cores: float
) -> None:
    assert quota(machine(tmp_path, membership, mounts, files)) == cores


def test_where_there_are_no_cgroups_there_is_no_quota(tmp_path: Path) -> None:
    assert quota(tmp_path) == math.inf


@given(st.lists(st.none() | st.tuples(st.integers(1000, 10**6), st.integers(1000, 10**6))))
def test_the_least_quota_on_the_way_up_is_rounded_up(
    limits: list[tuple[int, int] | None],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, files, least = "", {}, math.inf
        for depth, limit in enumerate(limits):
            path += f"/{depth}"
            allowed, period = limit or ("max", 100_000)
            files[f"{V2}{path}/cpu.max"] = f"{allowed} {period}\n"
            # Whole periods' worth of n threads that run all the time, without dividing.
            if limit:
                least = min(least, next(n for n in range(1, 1001) if n * limit[1] >= limit[0]))
        assert quota(machine(Path(folder), f"0::{path or '/'}\n", [UNIFIED], files)) == least


@pytest.mark.parametrize(
    ("value", "threads"),
    [
        ("4", 4),
        (" 4 ", 4),
        ("4,2", 4),
        ("4, 2, 1", 4),
        ("1", 1),
        ("", math.inf),
        ("0", math.inf),
        ("-2", math.inf),
        ("many", math.inf),
        ("2.5", math.inf),
        (",2", math.inf),
        ("9" * 5000, math.inf),
        ("\N{ARABIC-INDIC DIGIT FOUR}", math.inf),
    ],
)
def test_openmps_own_setting_is_a_bound_where_it_is_one(value: str, threads: float) -> None:
    assert threads_allowed({"OMP_NUM_THREADS": value}) == threads


def test_without_openmps_setting_there_is_no_bound() -> None:
    assert threads_allowed({}) == math.inf


def counted(*prefix: str, **environment: str) -> int:
    """What a process that is started so counts."""
    code = "from brigade.run.cores import available_cores; print(available_cores())"
    command = [*prefix, sys.executable, "-c", code]
    clean = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=clean | environment
    )
    return int(done.stdout)


@pytest.mark.skipif(available_cores() < 2, reason="one core is the least there can be")
def test_a_process_counts_by_its_environment_and_its_affinity() -> None:
    here = counted()
    assert here >= 2
    assert counted(OMP_NUM_THREADS="1,4") == 1
    assert counted(OMP_NUM_THREADS="9999") == here
    one = f"{min(os.sched_getaffinity(0))}"
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(one)})
    try:
        assert counted() == 1
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def real_cgroup() -> Iterator[Path]:
    """A cgroup of the machine's own with a quota of half a core, and one below it without."""
    root, file, half = Path("/sys/fs/cgroup/cpu"), "cpu.cfs_quota_us", "50000"
    if not root.is_dir():  # the second version
        root, file, half = root.parent, "cpu.max", "50000 100000"
    outer = root / f"brigade-test-{os.getpid()}"
    made: list[Path] = []
    try:
        try:
            for folder in (outer, outer / "inner"):
                folder.mkdir()
                made.append(folder)
            if not (outer / file).exists():
                pytest.skip("cgroups have no CPU quotas here")
            (outer / file).write_text(half)
        except OSError as error:
            pytest.skip(f"no cgroup can be made here: {error}")
        yield outer / "inner"
    finally:
        for folder in reversed(made):
            folder.rmdir()


@pytest.mark.skipif(available_cores() < 2, reason="one core is the least there can be")
def test_a_process_in_a_real_cgroup_counts_its_ancestors_quota() -> None:
    with real_cgroup() as folder:
        joined = ["sh", "-c", 'echo $$ > "$0"/cgroup.procs && exec "$@"', str(folder)]
        assert counted(*joined) == 1
