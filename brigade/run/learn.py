"""``brigade learn``: a learner as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import Annotated

import msgspec
from msgspec import Meta

from brigade.agent_numbers import parse_wanted
from brigade.config import ConfigError, PositiveInt
from brigade.printable import printable
from brigade.run.cores import available_cores
from brigade.run.keys import client_credentials
from brigade.run.logs import note, start_logs
from brigade.run.process import (
    follow_parent,
    keep_memory,
    on_signals,
    pick_device,
    use_device,
    use_threads,
)
from brigade.wire.endpoints import Endpoint
from brigade.wire.messages import Name, Wanted

DEFAULT_CONNECT = "tcp://127.0.0.1:5750"


class LearnConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a learner attaches, and what it takes on."""

    connect: Annotated[str, Meta(description="the simulator's address")] = DEFAULT_CONNECT
    agents: Annotated[
        Wanted,
        Meta(description="agents to learn: 0-7, 0,2,5, any:4, or auto for all that are free"),
    ] = "auto"
    device: Annotated[str, Meta(description="auto, cpu, cuda or cuda:N")] = "auto"
    local_rank: Annotated[
        int,
        Meta(ge=0, description="this learner's number on its machine: GPUs are dealt round by it"),
    ] = 0
    name: Annotated[
        Name | None, Meta(description="what the simulator calls this learner; host and process")
    ] = None
    threads: Annotated[
        PositiveInt | None, Meta(description="CPU threads of the learner; all cores but one")
    ] = None
    stand_by: Annotated[
        bool, Meta(description="while others have the agents, wait to take them over")
    ] = False
    max_updates: Annotated[
        PositiveInt | None, Meta(description="leave after so many updates; at the run's end")
    ] = None
    key: Annotated[str | None, Meta(description="our private key file")] = None
    server_key: Annotated[
        str | None, Meta(description="the simulator's public key, or a file with it")
    ] = None
    log_file: Annotated[
        str | None, Meta(description="append events here: one line of JSON each")
    ] = None


def run_learn(config: LearnConfig) -> int:
    """Learn until the run is over; return the process's exit code.

    Raises
    ------
    ConfigError, AddressError
        Something is wrong with what was asked for; nothing was started.
    LearnerRefused
        The simulator does not take this learner.
    """
    name = config.name or f"{printable(socket.gethostname())}-{os.getpid()}"
    start_logs(f"learn {name}", config.log_file)
    endpoint = Endpoint.parse(config.connect)
    try:
        parse_wanted(config.agents)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    credentials = client_credentials(config.key, config.server_key)
    device = pick_device(config.device, config.local_rank)
    use_device(device)
    use_threads(1)  # what a learner computes, it shares out itself
    keep_memory()

    import torch

    # The first use of a GPU takes seconds, and holds up everything: before there is a lease.
    torch.zeros(1, device=device)

    from brigade.learn.learner import Learner, LearnerRefused, RunOver
    from brigade.wire.transport import LearnerSockets, TransportError

    sockets = LearnerSockets(endpoint, credentials)

    def announce(event: str, line: str) -> None:
        note(event, text=line, agents=learner.agents)
        print(f"{name}: {printable(line)}", flush=True)

    learner = Learner(
        sockets,
        name,
        config.agents,
        torch.device(device),
        announce,
        threads=config.threads or max(1, available_cores() - 1),
        stand_by=config.stand_by,
        max_updates=config.max_updates,
    )
    caught: list[str] = []

    def interrupt(signal_name: str) -> None:
        caught.append(signal_name)
        learner.stop(f"stopped by {signal_name}")

    on_signals(interrupt)
    follow_parent()
    try:
        reason = learner.run()
        if caught:
            return 128 + signal.Signals[caught[0]]
        announce("ended", reason)
        return 0
    except (LearnerRefused, TransportError) as error:
        note("refused", text=str(error))
        raise
    except RunOver as over:
        note("failed", text=str(over))
        print(f"brigade learn: {printable(over)}", file=sys.stderr)
        return 1
    finally:
        sockets.close()
