"""Ctrl-C that cannot get lost.

What a signal's handler raises comes out wherever the program happens to be, and is lost where that
is a callback whose exceptions a library swallows. So it is also noted, and loops that may go on for
long look at the note.
"""

from __future__ import annotations

import signal
import threading

_came = threading.Event()


def watch() -> None:
    """Note SIGINT from now on, beside raising KeyboardInterrupt; a second one ends us hard."""
    _came.clear()

    def interrupt(number: int, frame: object) -> None:
        if _came.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        _came.set()
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
