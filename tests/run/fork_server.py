"""Processes of ``brigade`` that are forked, for tests: importing torch takes each 4 s otherwise.

A server has imported all that the commands do, and has a single thread. It forks a process for each
command that a test asks for, which lives as one that was started from scratch would: it is a child
of the test's process, has a session, an environment and descriptors of its own, shows its own words
and environment in ``/proc``, and ends as interpreters do. A launcher that was forked so forks its
simulator and learners likewise.

What an interpreter reads only when it starts (its flags, ``PYTHON...``, the locale) is the
server's; see :func:`starts_alike`. So is the seed of hashes.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import importlib
import json
import logging
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

# Beginnings of the names of variables that an interpreter, or a library, reads when it is loaded.
READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "OMP_", "GOMP_", "KMP_", "MKL_", "TORCH", "TZ")
LARGEST_REQUEST = 1 << 17  # bytes
ROOM_FOR_WORDS, ROOM_FOR_VARIABLES = 1 << 13, 1 << 14  # bytes, in which ``/proc`` finds them
ANSWER_SECONDS = 120.0
PR_SET_CHILD_SUBREAPER = 36
# What only some commands load, and only where they need it.
ALSO_LOADED = ("torch", "zmq.asyncio", "tensorboardX", "rich.live", "PIL.Image", "PIL.ImageDraw")


def at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """Give the variables that are read only when an interpreter starts."""
    return {name: v for name, v in environment.items() if name.startswith(READ_AT_START)}


# ---- what a forked process does ------------------------------------------------------------


class Forked(subprocess.Popen[bytes]):
    """A command of ``brigade`` in a process that is forked from this one."""

    def _execute_child(
        self, args: Sequence[str], executable: object, preexec: object, close: object,
        pass_fds: Sequence[int], cwd: str | None, env: Mapping[str, str] | None,
        startupinfo: object, flags: object, shell: object,
        p2cread: int, p2cwrite: int, c2pread: int, c2pwrite: int, errread: int, errwrite: int,
        *_: object,
    ) -> None:  # fmt: skip
        given = (p2cread, c2pwrite, errwrite)
        streams = [number if fd == -1 else fd for number, fd in enumerate(given)]
        environment = dict(os.environ if env is None else env)
        self.pid = self._start(list(args), str(cwd or "."), environment, streams, pass_fds)
        self._child_created = True
        self._close_pipe_fds(  # type: ignore[attr-defined]
            p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite
        )

    def _start(
        self,
        words: list[str],
        folder: str,
        environment: dict[str, str],
        streams: Sequence[int],
        kept: Sequence[int],
    ) -> int:
        """Start it, in a session of its own; return the process's id."""
        assert _threads() == 1, "a process with threads cannot be forked"
        # A signal that comes meanwhile waits for the child's own handlers.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        pid = os.fork()
        if pid == 0:
            os.setsid()
            _become(words, folder, environment, streams, kept, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid


def _become(
    words: list[str],
    folder: str,
    environment: dict[str, str],
    streams: Sequence[int],
    kept: Sequence[int],
    mask: Iterable[int],
) -> NoReturn:
    """Be the process that ``words`` start; does not return.

    Nothing may leave this function: below it are the frames of the process that was forked, with
    all that these do when they are left.
    """
    code: object = 1
    try:
        copies = [fcntl.fcntl(fd, fcntl.F_DUPFD, 3) for fd in streams]
        for number, copy in enumerate(copies):
            os.dup2(copy, number)
        # A log that is open would be closed later, when its number is another file's.
        logging.shutdown()
        for fd in [int(each.name) for each in Path("/proc/self/fd").iterdir()]:
            if fd > 2 and fd not in kept:
                with suppress(OSError):  # that of the listing
                    os.close(fd)
        os.chdir(folder)
        environment.pop("BRIGADE_IMPORT_PATH", None)  # as ``brigade/__main__.py`` does
        os.environ.clear()
        os.environ.update(environment)
        _show(words, [f"{name}={value}" for name, value in environment.items()])
        sys.argv = words[words.index(str(_program())) :]
        tempfile.tempdir = None  # it was that of the other environment
        _open_streams()
        for each in signal.valid_signals():
            if callable(signal.getsignal(each)):
                signal.signal(each, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

        from brigade.cli import finish, main

        code = finish(main())
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    # As an interpreter ends that was left with SystemExit: what threads, exits and buffers ask for.
    ctypes.pythonapi.Py_Exit(int(code or 0) if isinstance(code, int | None) else 1)
    raise AssertionError("Py_Exit does not return")


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def _program() -> Path:
    import brigade

    return Path(str(brigade.__file__)).absolute().with_name("__main__.py")


def _open_streams() -> None:
    """Open the standard streams anew, on what the descriptors are now."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        old = getattr(sys, name)
        new: Any = open(  # noqa: SIM115
            number, mode, encoding=old.encoding, errors=old.errors, closefd=False
        )
        if name == "stderr":
            new.reconfigure(line_buffering=True)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)


def _show(words: Sequence[str], variables: Sequence[str]) -> None:
    """Write what ``/proc/self/cmdline`` and ``environ`` show, where the server made room for it."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    bounds = list(map(int, fields[45:49]))  # proc(5): fields 48 to 51
    for (start, end), texts in zip((bounds[:2], bounds[2:]), (words, variables), strict=True):
        content = b"\0".join(map(os.fsencode, texts)) + b"\0"
        ctypes.memmove(start, content[: end - start].ljust(end - start, b"\0"), end - start)


# ---- the server ----------------------------------------------------------------------------


def serve(requests: socket.socket) -> None:
    """Fork a process for each request, until nobody is left to ask."""
    while True:
        message, descriptors, *_ = socket.recv_fds(requests, LARGEST_REQUEST, 3)
        if not message:
            return
        between = os.fork()
        if between == 0:
            if os.fork():
                os._exit(0)
            _begin(requests, descriptors, **json.loads(message))
        os.waitpid(between, 0)
        for fd in descriptors:
            os.close(fd)


def _begin(
    requests: socket.socket,
    streams: list[int],
    parent: int,
    words: list[str],
    folder: str,
    environment: dict[str, str],
) -> NoReturn:
    """Be a command that a test has asked for, once its process is our parent."""
    os.setsid()
    while os.getppid() != parent:
        if os.getppid() == 1:  # the test's process is gone
            os._exit(1)
        time.sleep(0.0005)
    requests.send(str(os.getpid()).encode())
    _become(words, folder, environment, streams, (), ())


def load_everything() -> None:
    """Import what the commands do."""
    import brigade

    found = pkgutil.walk_packages(brigade.__path__, "brigade.")
    ours = [module.name for module in found if not module.name.endswith("__main__")]
    for name in (*ours, *ALSO_LOADED):
        with suppress(ImportError):
            importlib.import_module(name)


def _main() -> None:
    import gc

    from brigade.run import train

    load_everything()
    ways = {"Popen": Forked, "PIPE": subprocess.PIPE, "DEVNULL": subprocess.DEVNULL}
    vars(train)["subprocess"] = SimpleNamespace(**ways)
    assert _threads() == 1, "no import may start a thread"
    gc.collect()
    gc.freeze()  # the children share these pages
    serve(socket.socket(fileno=0))


# ---- the test's side -----------------------------------------------------------------------


class Server:
    """A server of this process, and how to ask it."""

    def __init__(self) -> None:
        from brigade.run.child import child_environment
        from brigade.run.process import thread_settings

        # Its children become ours, so that we can wait for them.
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())
        self.asked_at_start = at_start(os.environ)
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(ANSWER_SECONDS)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, "x" * ROOM_FOR_WORDS],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ
                | child_environment()
                | thread_settings("cpu")
                | {"OPENBLAS_NUM_THREADS": "1", "ROOM": "x" * ROOM_FOR_VARIABLES},
            )

    @property
    def runs(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def start(
        self, words: list[str], folder: str, environment: dict[str, str], streams: Sequence[int]
    ) -> int:
        """Let it fork a command; return the process's id."""
        request = {
            "parent": os.getpid(),
            "words": words,
            "folder": str(Path(folder).absolute()),
            "environment": environment,
        }
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(streams))
            answer = self._socket.recv(64)
        assert answer, "the fork server has ended"
        return int(answer)

    def stop(self) -> None:
        """Let it end."""
        self._socket.close()
        self._process.wait()


_server: Server | None = None


def server() -> Server:
    """The server of this process, started where there is none."""
    global _server
    if _server is None or not _server.runs:
        if _server is not None:
            _server.stop()
        else:
            atexit.register(_stop)
        _server = Server()
    return _server


def _stop() -> None:
    if _server is not None:
        _server.stop()


def starts_alike(environment: Mapping[str, str]) -> bool:
    """Whether an interpreter that starts in an environment is as the server is."""
    return at_start(environment) == server().asked_at_start


class Asked(Forked):
    """A command of ``brigade`` in a process that the server forks."""

    def _start(
        self,
        words: list[str],
        folder: str,
        environment: dict[str, str],
        streams: Sequence[int],
        kept: Sequence[int],
    ) -> int:
        return server().start(words, folder, environment, streams)


if __name__ == "__main__":
    sys.path[:] = json.loads(os.environ["BRIGADE_IMPORT_PATH"])
    _main()
