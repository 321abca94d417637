"""Where the processes of ``brigade train`` meet, and by which keys they know each other."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from brigade.config import ConfigError
from brigade.run.scratch import LEARNER_KEY, SIMULATOR_KEY, Scratch
from brigade.run.server_options import ServerOptions, at_home
from brigade.store import keys
from brigade.wire.endpoints import Endpoint

FIRST_PORT, LAST_PORT = 20000, 32000  # from which systems give clients none


@dataclass(frozen=True)
class Rendezvous:
    """Settings of the simulator, and what learners are told on their command lines.

    ``folder`` has the keys that were made for this training, if any were.
    """

    simulator: dict[str, Any]
    learners: list[str]
    folder: Path


def arrange(
    config: ServerOptions, endpoint: Endpoint | None, scratch: Scratch, num_learners: int
) -> Rendezvous:
    """Choose where a training's processes meet.

    At the address that the person gave, if there is one; the training's own learners reach it by
    loopback where all addresses are bound, and where there are keys they get a pair for this
    training. Otherwise in the scratch folder, which only their owner can enter; or, where that
    cannot hold sockets, on loopback ports with keys of their own.

    Raises
    ------
    ConfigError
        The key file holds no private key, or learners cannot be told where to connect.
    """
    key = config.key
    if endpoint is not None:
        if endpoint.place in [name for _, name in socket.if_nameindex()]:
            raise ConfigError(f"--bind {endpoint.control}: name an address of that interface")
    elif scratch.holds_sockets:
        endpoint = Endpoint.parse(f"ipc://{scratch.path}/control")
    else:
        port = _free_port(2 + 2 * num_learners)  # each may be started again
        endpoint = Endpoint.parse(f"tcp://127.0.0.1:{port}")
        key = key or str(_new_pair(scratch.path, SIMULATOR_KEY))
    simulator: dict[str, Any] = {"bind": endpoint.control}
    learners = [f"--connect={endpoint.from_here.control}"]
    if key is not None:
        public, _ = keys.read_pair(at_home(key))
        simulator["key"] = key
        learners += [f"--key={_new_pair(scratch.path, LEARNER_KEY)}", f"--server-key={public}"]
    if config.admitted is not None:
        simulator["admitted"] = config.admitted
    if config.insecure:
        simulator["insecure"] = True
    return Rendezvous(simulator, learners, scratch.path)


def _new_pair(folder: Path, name: str) -> Path:
    """Write a new key pair; return the file of the private one."""
    from brigade.wire.auth import new_keys

    pair = new_keys()
    return keys.write_pair(folder, name, pair.public, pair.secret)[0]


def _free_port(count: int) -> int:
    """Find a loopback port with so many free ones from it on."""
    some = FIRST_PORT + os.getpid() % (LAST_PORT - FIRST_PORT)
    for first in chain(range(some, LAST_PORT), range(FIRST_PORT, some)):
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise ConfigError("there is no folder for private sockets, and no port is free; set TMPDIR")
