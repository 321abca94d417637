"""The launcher's scratch folder: private sockets and what learners say, and nothing left of it.

The launcher and its children hold a lock on the folder, which ends with the last of them however
they end. If all of them are killed at once, nobody is left to remove it: the next training does.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from brigade.config import ConfigError
from brigade.wire.endpoints import AddressError, Endpoint

NAME = re.compile(r"brigade-[a-z0-9_]{8}")
SIMULATOR_KEY, LEARNER_KEY = "simulator", "learner"
FILE = re.compile(rf"(sim|learn)-\d+\.log|({SIMULATOR_KEY}|{LEARNER_KEY})\.(key|pub)")
# Where the path of the usual folder is too long for sockets.
SHORTER = ("/tmp", "/var/tmp")


@dataclass(frozen=True)
class Scratch:
    """A folder, and the descriptor that holds its lock, for children to inherit."""

    path: Path
    lock: int
    holds_sockets: bool


@contextmanager
def scratch_folder() -> Iterator[Scratch]:
    """Make a scratch folder, and remove it with what is in it; first remove what others left.

    It is made where temporary files go; but where that cannot hold sockets, since their paths would
    be too long (on Linux they have 107 bytes), in a folder that can, if there is one.

    Raises
    ------
    ConfigError
        There is no folder for temporary files.
    """
    places = _places()
    for place in places:
        remove_leftovers(place)
    fit = next((place for place in places if _holds_sockets(place)), None)
    with _locked_folder(fit or places[0], fit is not None) as scratch:
        try:
            yield scratch
        finally:
            # A child may do the same at the same time.
            shutil.rmtree(scratch.path, ignore_errors=True)


def _places() -> list[Path]:
    """Folders in which a scratch folder may be: the usual one, and others that are safe."""
    try:
        usual = Path(tempfile.gettempdir())
    except OSError as error:
        raise ConfigError(f"{error.strerror}: set TMPDIR to a folder that can be written") from None
    others = map(Path, filter(None, (os.environ.get("XDG_RUNTIME_DIR"), *SHORTER)))
    return list(dict.fromkeys([usual, *filter(_is_safe, others)]))


def _is_safe(place: Path) -> bool:
    """Whether we can make something there that nobody else can put another in the place of."""
    try:
        state = place.stat()
    except OSError:
        return False
    open_to_others = state.st_mode & 0o022 and not state.st_mode & stat.S_ISVTX
    ours = state.st_uid in (0, os.getuid()) and not open_to_others
    return place.is_absolute() and ours and os.access(place, os.W_OK | os.X_OK)


def _holds_sockets(place: Path) -> bool:
    """Whether a scratch folder there can hold a run's sockets."""
    try:
        with tempfile.TemporaryDirectory(prefix="brigade-", dir=place) as folder:
            endpoint = Endpoint.parse(f"ipc://{folder}/control")
            with socket.socket(socket.AF_UNIX) as probe:
                probe.bind(endpoint.place)
    except (AddressError, OSError):
        return False
    return True


@contextmanager
def _locked_folder(place: Path, holds_sockets: bool) -> Iterator[Scratch]:
    while True:
        try:
            path = Path(tempfile.mkdtemp(prefix="brigade-", dir=place))
        except OSError as error:
            raise ConfigError(f"cannot make a folder in {place}: {error.strerror}") from None
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue  # another training took it for left over, in the moment before it was locked
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            if os.fstat(lock).st_nlink:
                yield Scratch(path, lock, holds_sockets)
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
    return stat.S_ISSOCK(mode) or (stat.S_ISREG(mode) and FILE.fullmatch(path.name) is not None)
