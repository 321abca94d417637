"""The launcher's scratch folder: private sockets and what learners say, and nothing left of it.

The launcher and its children hold a lock on the folder, which ends with the last of them however
they end. If all of them are killed at once, nobody is left to remove it: the next training does.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NAME = re.compile(r"brigade-[a-z0-9_]{8}")
LOG = re.compile(r"(sim|learn)-\d+\.log")


@dataclass(frozen=True)
class Scratch:
    """A folder, and the descriptor that holds its lock, for children to inherit."""

    path: Path
    lock: int


@contextmanager
def scratch_folder() -> Iterator[Scratch]:
    """Make a scratch folder, and remove it with what is in it; first remove what others left."""
    remove_leftovers(Path(tempfile.gettempdir()))
    with _locked_folder() as scratch:
        try:
            yield scratch
        finally:
            # A child may do the same at the same time.
            shutil.rmtree(scratch.path, ignore_errors=True)


@contextmanager
def _locked_folder() -> Iterator[Scratch]:
    while True:
        path = Path(tempfile.mkdtemp(prefix="brigade-"))
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue  # another training took it for left over, in the moment before it was locked
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            if os.fstat(lock).st_nlink:
                yield Scratch(path, lock)
                return
        finally:
            os.close(lock)


def remove_leftovers(folder: Path) -> None:
    """Remove scratch folders of ours in ``folder`` that no process holds.

    Only what looks like one in every respect is touched: name, owner, mode, and contents.
    """
    for path in folder.glob("brigade-*"):
        if not NAME.fullmatch(path.name):
            continue
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            state = os.fstat(lock)
            if state.st_uid != os.getuid() or stat.S_IMODE(state.st_mode) != 0o700:
                continue
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if all(map(_is_ours, path.iterdir())):
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue  # it is in use, or somebody else removes it
        finally:
            os.close(lock)


def _is_ours(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISSOCK(mode) or (stat.S_ISREG(mode) and LOG.fullmatch(path.name) is not None)
