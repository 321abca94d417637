"""A simulator in a thread of this process, where only that can make the environment."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from brigade.sim.simulator import Simulator

KILLED = -int(signal.SIGKILL)


class SimulatorHere:
    """A simulator's run, which its launcher minds as it minds a process.

    It is a thread of its own, so the caller may be any thread, one with an event loop too.

    Parameters
    ----------
    play
        Plays the run; it is given what to call with the simulator once that can be stopped.

    Attributes
    ----------
    returncode
        0 after a run that ended in order, 1 after one that raised; None until then.
    error
        What it raised.
    """

    stdin = None

    def __init__(
        self, play: Callable[[Callable[[Simulator], None]], Coroutine[Any, Any, None]]
    ) -> None:
        self.returncode: Any = None
        self.error: BaseException | None = None
        self._play = play
        self._loop: asyncio.AbstractEventLoop | None = None
        self._simulator: Simulator | None = None
        self._stopped_by = ""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True, name="simulator")
        self._thread.start()

    def _run(self) -> None:
        try:
            asyncio.run(self._play(self._begun))
        except BaseException as error:
            self.error = error
        self.returncode = self.returncode or (0 if self.error is None else 1)

    def _begun(self, simulator: Simulator) -> None:
        with self._lock:
            self._loop, self._simulator = asyncio.get_running_loop(), simulator
            if self._stopped_by:
                simulator.stop(self._stopped_by)

    def poll(self) -> Any:
        """Give its exit code, a number; None while it runs."""
        return self.returncode

    def send_signal(self, number: int) -> None:
        """End the run in order, soon."""
        with self._lock:
            self._stopped_by = f"stopped by {signal.Signals(number).name}"
            if self._loop is not None and self._simulator is not None:
                with contextlib.suppress(RuntimeError):  # its loop has ended
                    self._loop.call_soon_threadsafe(self._simulator.stop, self._stopped_by)

    def terminate(self) -> None:
        """End the run in order, soon."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Leave it: a thread that does not end by itself cannot be ended."""
        self.returncode = KILLED

    def wait(self) -> None:
        """Wait for nothing: what was left is not waited for."""
