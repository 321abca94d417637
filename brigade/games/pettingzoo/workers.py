"""Games of one environment in processes of their own, which share the arrays with this one.

A worker is woken by a byte, plays one step of all of its games, and answers with a byte. What games
do does not depend on how many workers there are: their numbers, and so their seeds, are those they
have in :class:`brigade.games.pettingzoo.side_by_side.SideBySide`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from brigade.games.pettingzoo import errors, messages
from brigade.games.pettingzoo.arrays import Arrays, num_bytes
from brigade.games.pettingzoo.description import Description
from brigade.games.pettingzoo.errors import (
    CannotFind,
    EnvironmentFault,
    EnvironmentRaised,
    InvalidData,
    WorkerLost,
)
from brigade.games.pettingzoo.finding import Maker
from brigade.games.pettingzoo.game import Settings
from brigade.games.pettingzoo.messages import Message
from brigade.games.pettingzoo.oddities import Oddities, Oddity
from brigade.games.pettingzoo.pictures import Look
from brigade.games.pettingzoo.worker import count_rows, outline
from brigade.games.vector import Step
from brigade.printable import printable, shortened

START_SECONDS = 300.0  # in which a worker must have made its games
CLOSE_SECONDS = 3.0  # in which workers may close their environments
LOOK_SECONDS = 0.5  # after so long without an answer, see whether a process has ended
COMMAND = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from brigade.games.pettingzoo.worker import main; main()"
)
ONE_THREAD = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB")
FAULTS = {EnvironmentRaised: Oddity.RAISED, InvalidData: Oddity.INVALID, WorkerLost: Oddity.LOST}


class EnvWorkers:
    """B games in N processes, with the interface of ``SideBySide``.

    Parameters
    ----------
    maker, description, num_games, settings
        As there; the maker must be found by a text, and have arguments of plain values.
    num_workers
        How many processes, N; at most one for each game.
    roles, look
        What the description was made with.
    timeout
        Seconds that a worker may take for a step of its games.
    on_error
        What to do where an environment fails or a worker is lost: ``fail`` ends all workers and
        raises, ``restart`` begins the worker's games anew in another process. Who was alive in
        those is truncated, with what it saw last.
    most_restarts
        So many at most, of all workers; then a failure raises.

    Attributes
    ----------
    active, observations, pictures, masks, final_observations, episodes, oddities
        As in ``SideBySide``. Restarts are among the oddities.
    faults
        Those after which there was a restart.

    Raises
    ------
    CannotFind
        The environment cannot be made, or not in another process.
    WorkerLost
        A worker ended before it had made its games.
    """

    def __init__(
        self,
        maker: Maker,
        description: Description,
        num_games: int,
        settings: Settings | None = None,
        *,
        num_workers: int,
        roles: Mapping[str, Sequence[Hashable] | str] | None = None,
        look: Look | None = None,
        timeout: float = 60.0,
        on_error: Literal["fail", "restart"] = "fail",
        most_restarts: int = 10,
    ) -> None:
        seating = description.seating
        num_workers = min(num_workers, num_games)
        self.num_games = num_games
        self.roles = seating.roles
        self.faults: list[EnvironmentFault] = []
        self._name = maker.name
        self._agents = [seat.agent for seat in seating.seats]
        self._timeout = timeout
        self._restarting = on_error == "restart"
        self._most_restarts = most_restarts
        self._start = {
            "what": _named(maker),
            "arguments": maker.arguments,
            "roles": roles,
            **dataclasses.asdict(look or Look()),
            "settings": dataclasses.asdict(settings or Settings()),
            "outline": outline(seating),
            "num_games": num_games,
        }
        _check_plain(self._start, maker)
        counts_bytes = num_workers * len(Oddity) * np.dtype(np.int64).itemsize
        self._file, memory = _shared_memory(num_bytes(seating, num_games) + counts_bytes)
        self._arrays = Arrays.of(seating, num_games, memory)
        self._arrays.episodes[:] = -1
        self._counts = count_rows(memory, seating, num_games)
        self._oddities = Oddities()
        self._past: Counter[Oddity] = Counter()  # of workers that are no more, and restarts
        self.observations = self._arrays.observations
        self.final_observations = self._arrays.finals
        self.pictures = self._arrays.pictures
        self.masks = self._arrays.masks
        self.active = self._arrays.active.reshape(-1)
        self.episodes = self._arrays.episodes
        ends = [number * num_games // num_workers for number in range(num_workers + 1)]
        self._workers = [
            _Worker(number, range(*ends[number : number + 2])) for number in range(num_workers)
        ]
        with self._all_or_none():
            for worker in self._workers:
                worker.start(self._start, self._file)
            for worker in self._workers:
                fault = self._answer(worker, START_SECONDS)
                if fault is not None:
                    raise fault

    @property
    def oddities(self) -> Oddities:
        """Of all games together."""
        sums = dict(zip(Oddity, self._counts.sum(0).tolist(), strict=True))
        self._oddities.counts = +(self._past + Counter(sums))
        return self._oddities

    def reset(self) -> None:
        """Begin all games; raises as :meth:`step` does."""
        self._ask_all(Message.RESET)

    def step(self, actions: Sequence[NDArray[Any]]) -> Step:
        """Play one step of each game, and begin anew those that end.

        Parameters
        ----------
        actions
            As in ``SideBySide``.

        Raises
        ------
        EnvironmentRaised, InvalidData
            An environment fails, or returns something else than it should.
        WorkerLost
            A worker ended, or took too long. After any of these, all workers are ended.
        """
        for given, shared in zip(actions, self._arrays.actions, strict=True):
            shared[:] = given
        self._ask_all(Message.STEP)
        return self._arrays.step()

    def close(self) -> None:
        """Close all environments and end all workers, within seconds.

        Raises
        ------
        EnvironmentRaised
            An environment fails at that. The workers are ended all the same.
        """
        faults = []
        with self._all_or_none(end=True):
            began = time.monotonic()
            asked = [worker for worker in self._workers if worker.ask(Message.CLOSE)]
            self._restarting = True  # how one ends is not the others' concern
            faults = [self._answer(worker, CLOSE_SECONDS, began) for worker in asked]
            for worker in asked:
                worker.wait(began + CLOSE_SECONDS)
        for fault in faults:
            if isinstance(fault, EnvironmentRaised):
                raise fault

    # ---- asking and answers --------------------------------------------------------------

    def _ask_all(self, kind: Message) -> None:
        with self._all_or_none():
            # What a failed step has written in part is then not looked at.
            before = self._arrays.copy() if self._restarting else None
            for worker in self._workers:
                worker.ask(kind)
            began = time.monotonic()
            faults = []
            for worker in self._workers:
                faults.append(self._answer(worker, self._timeout, began))
                if faults[-1] is not None and not self._restarting:
                    raise faults[-1]
            for worker, fault in zip(self._workers, faults, strict=True):
                if fault is None or before is None:
                    continue
                self._begin_anew(worker, fault)
                if kind is Message.STEP:
                    _truncate(self._arrays.games(worker.slice), before.games(worker.slice))

    def _answer(
        self, worker: _Worker, seconds: float, began: float | None = None
    ) -> EnvironmentFault | None:
        """Wait so long, from then or from now, for an answer; return what is wrong, if anything is.

        Raises
        ------
        CannotFind
            It cannot make its games.
        EnvironmentFault
            Another worker has ended, and there are to be no restarts.
        """
        began = time.monotonic() if began is None else began
        has_ended = False
        while True:
            left = began + seconds - time.monotonic()
            try:
                kind, content = worker.receive(min(max(left, 0.001), LOOK_SECONDS))
                break
            except EOFError:
                return self._lost(worker, worker.how_it_ended())
            except TimeoutError:
                if has_ended:  # before this look, so that there is nothing more to come
                    return self._lost(worker, worker.how_it_ended())
                has_ended = worker.has_ended()
                if has_ended:
                    continue
                if left <= 0:
                    return self._lost(worker, f"no answer within {seconds:g} s")
                ended = [each for each in self._workers if each.has_ended()]
                if ended and not self._restarting:
                    fault = self._answer(ended[0], seconds)
                    raise fault or self._lost(ended[0], ended[0].how_it_ended()) from None
        if kind is Message.CANNOT:
            raise CannotFind(content)
        if kind is Message.FAULT:
            return self._fault(content)
        for name, where in (content or {}).items():
            self._oddities.first.setdefault(Oddity[name], where)
        return None

    def _lost(self, worker: _Worker, how: str) -> WorkerLost:
        return WorkerLost(how, self._name, worker.number, worker.games)

    def _fault(self, content: dict[str, Any]) -> EnvironmentFault:
        seat, agent = content["seat"], content["agent"]
        kind: type[EnvironmentFault] = getattr(errors, content["class"])
        fault = kind(
            content["what"],
            self._name,
            content["game"],
            agent if seat is None else self._agents[seat],
            content["step"],
        )
        fault.details = content["details"]
        return fault

    def _begin_anew(self, worker: _Worker, fault: EnvironmentFault | None) -> None:
        """Begin a worker's games in a new process, again and again while that fails."""
        while fault is not None:
            if len(self.faults) >= self._most_restarts:
                raise fault
            self.faults.append(fault)
            worker.kill()
            counts = self._counts[worker.number].tolist()
            self._past.update(dict(zip(Oddity, counts, strict=True)))
            self._counts[worker.number] = 0
            self._past[FAULTS[type(fault)]] += 1
            self._oddities.first.setdefault(FAULTS[type(fault)], str(fault))
            worker.start(self._start, self._file)
            try:
                fault = self._answer(worker, START_SECONDS)
            except CannotFind as error:  # it could be made at the start
                raise self._lost(worker, f"it cannot be begun anew: {error}") from None
            if fault is None:
                worker.ask(Message.RESET)
                fault = self._answer(worker, self._timeout)

    @contextlib.contextmanager
    def _all_or_none(self, end: bool = False) -> Iterator[None]:
        """End all workers where anything is raised, or in any case."""
        try:
            yield
        except BaseException:
            end = True
            raise
        finally:
            if end:
                for worker in self._workers:
                    worker.kill()
                self._file.close()


def _truncate(now: Arrays, before: Arrays) -> None:
    """Say of games that were lost in a step, and have begun anew, how they stood before it."""
    finals, seen = now.finals + now.final_pictures, before.observations + before.pictures
    for final, last in zip(finals, seen, strict=True):
        final[:] = last
    now.rewards[:] = 0
    now.terminated[:] = False
    now.truncated[:] = before.alive
    now.ended[:] = now.cut[:] = True
    now.returns[:] = np.where(before.ended[:, None], 0, before.returns)
    now.lengths[:] = np.where(before.ended, 0, before.lengths)


def _shared_memory(size: int) -> tuple[Any, mmap.mmap]:
    """Make a file without a name, which is gone with the last process that has it."""
    if hasattr(os, "memfd_create"):
        file: Any = os.fdopen(os.memfd_create("brigade games"), "r+b", buffering=0)
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    file.truncate(size)
    return file, mmap.mmap(file.fileno(), size)


def _named(maker: Maker) -> str:
    if maker.text is None:
        raise CannotFind(
            f"{maker.name} is a function, which other processes cannot find: name it by a text, "
            "such as module:function, or play it in this process with --env-workers 0"
        )
    return maker.text


def _check_plain(start: Mapping[str, Any], maker: Maker) -> None:
    try:
        json.dumps(start)
    except (TypeError, ValueError):
        given = printable(shortened(repr(maker.arguments), 80))
        raise CannotFind(
            f"{maker.name}: workers take arguments and roles of numbers, texts, lists and tables "
            f"only, not {given}; play it in this process with --env-workers 0"
        ) from None


class _Worker:
    """A process and the connection to it.

    Attributes
    ----------
    number, games
        Which it is, and which games it has.
    """

    def __init__(self, number: int, games: range) -> None:
        self.number = number
        self.games = games
        self.slice = slice(games.start, games.stop)
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None

    def start(self, start: Mapping[str, Any], file: Any) -> None:
        """Start the process, which then makes its games."""
        ours, theirs = socket.socketpair()
        self._connection = ours
        path = json.dumps([each for each in sys.path if isinstance(each, str)])
        numbers = (theirs.fileno(), file.fileno())
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", COMMAND, path, *map(str, numbers)],
                pass_fds=numbers,
                stdin=subprocess.DEVNULL,
                stdout=2,  # what environments print is not for whoever reads our output
                env=_environment(),
                process_group=0,  # Ctrl-C is for us, who end the workers
            )
        finally:
            theirs.close()
        content = {
            **start,
            "worker": self.number,
            "games": [self.games.start, self.games.stop],
            "parent": os.getpid(),
            # The signal comes at the end of the thread that started the process.
            "signal_at_end": threading.current_thread() is threading.main_thread(),
        }
        with contextlib.suppress(OSError):  # if it has ended, there is no answer either
            messages.send(ours, Message.START, content)

    def ask(self, kind: Message) -> bool:
        """Ask for something; return whether the worker could be asked."""
        if self._connection is None:
            return False
        with contextlib.suppress(OSError):  # it has ended, which its answer will tell
            messages.send(self._connection, kind)
        return True

    def receive(self, seconds: float) -> tuple[Message, Any]:
        """Wait for an answer; raises as :func:`messages.receive` does."""
        if self._connection is None:
            raise EOFError
        self._connection.settimeout(seconds)
        return messages.receive(self._connection)

    def has_ended(self) -> bool:
        """Whether the process has."""
        return self._process is None or self._process.poll() is not None

    def how_it_ended(self) -> str:
        """Say how, of a process that has closed its connection."""
        if self._process is None:
            return "it was ended before"
        try:
            code = self._process.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            return "its process closed the connection"
        if code < 0:
            try:
                return f"its process was killed by {signal.Signals(-code).name}"
            except ValueError:
                return f"its process was killed by signal {-code}"
        return f"its process ended with exit code {code}"

    def wait(self, deadline: float) -> None:
        """Wait until the process has ended, or until then."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.0, deadline - time.monotonic()))

    def kill(self) -> None:
        """End the process and what it has started, at once; it may have ended before."""
        if self._process is not None:
            if self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _environment() -> dict[str, str]:
    """The variables of this process, with no window and one thread for each worker."""
    return {
        "SDL_VIDEODRIVER": "dummy",
        "SDL_AUDIODRIVER": "dummy",
        **os.environ,
        **{f"{library}_NUM_THREADS": "1" for library in ONE_THREAD},
    }
