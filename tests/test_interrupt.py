"""Ctrl-C that a library swallowed is noticed all the same."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from brigade import interrupt


@pytest.fixture(autouse=True)
def watched() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    interrupt.watch()
    yield
    interrupt.watch()  # and forget what came
    signal.signal(signal.SIGINT, before)


def test_it_is_raised_where_it_comes_and_again_where_that_was_lost():
    interrupt.check()  # nothing came yet
    with contextlib.suppress(KeyboardInterrupt):  # a library that swallows it
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        interrupt.check()
    with pytest.raises(KeyboardInterrupt):
        interrupt.sleep(3600)


def test_where_it_is_held_it_waits_until_it_is_asked_for():
    with interrupt.held():
        assert not interrupt.take()
        signal.raise_signal(signal.SIGINT)
        assert interrupt.take()
        assert not interrupt.take(), "it is forgotten"
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_sleep_ends_with_it():
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupt.sleep(3600)
    assert time.monotonic() - started < 60
    timer.join()


def test_a_second_one_ends_us_hard():
    code = """
import contextlib, signal
from brigade import interrupt
interrupt.watch()
for _ in range(3):
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
print("still here")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGINT
    assert done.stdout == b""
