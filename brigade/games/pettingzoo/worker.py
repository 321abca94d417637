"""A process that plays some of the games, started by :mod:`brigade.games.pettingzoo.workers`.

It finds the environment by its name, and waits for one byte before each step. Where an environment
fails, it tells how and ends.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import select
import signal
import socket
import sys
import threading
from typing import Any

import numpy as np

from brigade.games.pettingzoo import messages
from brigade.games.pettingzoo.arrays import Arrays, num_bytes
from brigade.games.pettingzoo.description import describe
from brigade.games.pettingzoo.errors import CannotFind, EnvironmentFault, EnvironmentUnusable
from brigade.games.pettingzoo.finding import find
from brigade.games.pettingzoo.game import Settings
from brigade.games.pettingzoo.messages import Message
from brigade.games.pettingzoo.oddities import Oddity
from brigade.games.pettingzoo.pictures import Look
from brigade.games.pettingzoo.roles import Seating
from brigade.games.pettingzoo.side_by_side import SideBySide

PR_SET_PDEATHSIG = 1  # of Linux's prctl
LONGEST = 100_000  # characters of a traceback


def main() -> None:
    """Play what the process at the other end of the connection asks for, until it is gone.

    ``sys.argv`` ends with the numbers of two open files: the connection, and the shared memory.
    """
    connection_number, memory_number = map(int, sys.argv[-2:])
    del sys.argv[1:]  # which are not for the environment
    for number in (connection_number, memory_number):
        os.set_inheritable(number, False)  # not for what the environment starts
    connection = socket.socket(fileno=connection_number)
    try:
        _, start = messages.receive(connection)
        _end_with(connection, start["parent"], start["signal_at_end"])
        memory = mmap.mmap(memory_number, 0)
        _serve(connection, memory, start)
    except (EOFError, BrokenPipeError):  # nobody is there to play for
        pass


def _serve(connection: socket.socket, memory: mmap.mmap, start: dict[str, Any]) -> None:
    try:
        games, arrays, seating = _build(memory, start)
    except EnvironmentUnusable as error:
        messages.send(connection, Message.CANNOT, str(error))
        return
    counts = count_rows(memory, seating, start["num_games"])[start["worker"]]
    told: set[Oddity] = set()
    messages.send(connection, Message.DONE)
    kind: Message | None = None
    while kind is not Message.CLOSE:
        kind, _ = messages.receive(connection)
        try:
            if kind is Message.STEP:
                games.play(arrays.actions)
            elif kind is Message.RESET:
                games.reset()
            else:
                games.close()
        except EnvironmentFault as fault:
            messages.send(connection, Message.FAULT, _described(fault, seating))
            return
        seen = games.oddities
        if seen.counts:
            counts[:] = [seen.counts[oddity] for oddity in Oddity]
        if len(seen.first) == len(told):
            messages.send(connection, Message.DONE)
        else:
            news = {k.name: where for k, where in seen.first.items() if k not in told}
            told.update(seen.first)
            messages.send(connection, Message.NEWS, news)


def _build(memory: mmap.mmap, start: dict[str, Any]) -> tuple[SideBySide, Arrays, Seating]:
    maker = find(start["what"], start["arguments"])
    description = describe(maker, start["roles"], Look(tuple(start["resize"]), start["grey"]))
    seating = description.seating
    if outline(seating) != start["outline"]:
        raise CannotFind(f"{maker.name} has other agents or spaces in another process")
    first, end = start["games"]
    arrays = Arrays.of(seating, start["num_games"], memory).games(slice(first, end))
    given = start["settings"]
    if given["reward_weights"] is not None:
        given["reward_weights"] = tuple(given["reward_weights"])
    games = SideBySide(
        maker, description, end - first, Settings(**given), arrays=arrays, first_game=first
    )
    return games, arrays, seating


def outline(seating: Seating) -> list[list[Any]]:
    """What two processes must agree on: each role's name, seats and sizes, and who has the seats.

    As JSON gives it back.
    """
    roles = [
        [
            *(role.name, list(role.seats), role.num_features),
            *(list(role.action_nvec), role.num_continuous),
            *map(list, role.pictures),
        ]
        for role in seating.roles
    ]
    return [*roles, [str(seat.agent) for seat in seating.seats]]


def count_rows(memory: mmap.mmap, seating: Seating, num_games: int) -> np.ndarray[Any, Any]:
    """How often each worker saw each kind of oddity, int64 ``[workers, kinds]``, after the arrays.

    Kinds are in the order of :class:`Oddity`.
    """
    rest = np.frombuffer(memory, np.int64, offset=num_bytes(seating, num_games))
    return rest.reshape(-1, len(Oddity))


def _described(fault: EnvironmentFault, seating: Seating) -> dict[str, Any]:
    agents = [seat.agent for seat in seating.seats]
    return {
        "class": type(fault).__name__,
        "what": fault.what,
        "game": fault.game,
        "seat": agents.index(fault.agent) if fault.agent in agents else None,
        "agent": None if fault.agent is None else str(fault.agent),
        "step": fault.step,
        "details": fault.details[-LONGEST:],
    }


def _end_with(connection: socket.socket, parent: int, signal_at_end: bool) -> None:
    """End at once when the parent does, whatever an environment is busy with."""
    if signal_at_end and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it had ended before
            os._exit(1)
    threading.Thread(target=_watch, args=(connection.fileno(),), daemon=True).start()


def _watch(connection_number: int) -> None:
    """Wait for the other side to go, which code that holds Python's lock can delay."""
    gone = select.poll()
    gone.register(connection_number, 0)  # which tells the end of the connection only
    gone.poll()
    os._exit(1)
