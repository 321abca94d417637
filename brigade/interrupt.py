"""Ctrl-C that cannot get lost.

What a signal's handler raises comes out wherever the program happens to be, and is lost where that
is a callback whose exceptions a library swallows. So it is also noted, and loops that may go on for
long look at the note.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_came = threading.Event()
_held = False


def watch() -> None:
    """Note SIGINT from now on, beside raising KeyboardInterrupt; a second one ends us hard."""
    _came.clear()

    def interrupt(number: int, frame: object) -> None:
        if _came.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        _came.set()
        if not _held:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)


def check() -> None:
    """Look whether a SIGINT came.

    Raises
    ------
    KeyboardInterrupt
        It did.
    """
    if _came.is_set():
        raise KeyboardInterrupt


def sleep(seconds: float) -> None:
    """Wait, or until a SIGINT comes.

    Raises
    ------
    KeyboardInterrupt
        One did.
    """
    _came.wait(seconds)
    check()


@contextmanager
def held() -> Iterator[None]:
    """Raise nothing for a SIGINT: note it, for :func:`take`. A second one still ends us hard."""
    global _held
    _held = True
    try:
        yield
    finally:
        _held = False


def take() -> bool:
    """Tell whether a SIGINT came, and forget it."""
    came = _came.is_set()
    _came.clear()
    return came
