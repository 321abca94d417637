"""``brigade sim``: the simulator as a process of its own."""

from __future__ import annotations

import asyncio
from typing import Annotated

from msgspec import Meta
from rich.console import Console
from rich.text import Text

from brigade._core import Scenario
from brigade.config import ConfigError, PositiveInt, RunConfig
from brigade.printable import printable
from brigade.run.door import DoorConfig, check_door
from brigade.run.keys import guard
from brigade.run.logs import note, start_logs
from brigade.run.operation import OperationConfig, check_operation, resumed
from brigade.run.process import (
    follow_parent,
    keep_memory,
    launchers_folder,
    on_signals,
    simulator_threads,
    use_threads,
)
from brigade.run.reserve import reserved
from brigade.run.settle import run_config, settle
from brigade.sim.events import Events
from brigade.sim.player import network_for
from brigade.sim.roster import Lease
from brigade.sim.simulator import NotWritten, RunFailed, Simulator
from brigade.sim.view import View
from brigade.store.checkpoint import Checkpoint
from brigade.store.folder import RunFolder
from brigade.wire.auth import Guard
from brigade.wire.endpoints import Endpoint
from brigade.wire.transport import SimulatorSockets

DEFAULT_BIND = "tcp://127.0.0.1:5750"


class SimConfig(DoorConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run, and where its simulator listens."""

    bind: Annotated[
        str, Meta(description="address of the control socket; weights and experience follow it")
    ] = DEFAULT_BIND
    threads: Annotated[
        PositiveInt | None,
        Meta(
            description="CPU threads of the simulator; 1, or where all learners have GPUs, "
            "all cores but one for each"
        ),
    ] = None


def run_sim(config: SimConfig) -> int:
    """Play a run with whoever learns; return the process's exit code.

    Raises
    ------
    ConfigError, AddressError, TransportError
        Something is wrong with what was asked for; nothing was started or written.
    """
    start_logs("sim", config.log_file)
    use_threads(1)
    keep_memory()
    endpoint = Endpoint.parse(config.bind)
    check_door(config, endpoint)
    door = guard(config.key, config.admitted, launchers_folder()) if config.key else None
    run = resumed(config) if config.resume else run_config(config)
    settled, scenario = settle(run)
    check_operation(config, settled)
    with reserved(settled, named=run.run_name is not None) as named:
        return asyncio.run(_run(named, config, scenario, endpoint, door, config.threads))


async def _run(
    config: RunConfig,
    operation: OperationConfig,
    scenario: Scenario,
    endpoint: Endpoint,
    door: Guard | None,
    threads: int | None,
) -> int:
    row_bytes = 4 * network_for(config, scenario).num_parameters
    sockets = SimulatorSockets(endpoint, weights_frame_bytes=row_bytes + (1 << 20), guard=door)
    try:
        folder = RunFolder(config, keep=operation.keep, resume=operation.resume is not None)
    except ConfigError:
        sockets.close()
        raise
    console = Console()
    view = View(config, console)
    saved: list[str] = []

    def save(content: Checkpoint, final: bool) -> None:
        try:
            saved.append(str(folder.save(content, final=final)))
            note("checkpoint", path=saved[-1], episodes=content.statistics["total_episodes"])
        except OSError as error:
            raise NotWritten(cannot_write("checkpoint", error)) from error

    def write(row: dict[str, object]) -> None:
        note("update", **{name: row[name] for name in ("update", "episodes", "transitions")})
        view.lag([float(lag) for lag in row["lag"]])  # type: ignore[attr-defined]
        try:
            folder.write_metrics(row, int(row["transitions"]))  # type: ignore[call-overload]
        except OSError as error:
            simulator.fail(cannot_write("metrics", error))

    def waiting(agents: list[int]) -> None:
        note("waiting" if agents else "playing", agents=agents)
        view.waiting(agents)

    def joined(lease: Lease) -> None:
        note("joined", learner=lease.name, agents=lease.agents, device=lease.device)
        view.joined(lease)
        share_cores()

    def left(lease: Lease, why: str) -> None:
        note("left", learner=lease.name, agents=lease.agents, why=why)
        view.left(lease, why)
        share_cores()

    def share_cores() -> None:
        devices = [lease.device for lease in simulator.desk.roster.leases.values()]
        use_threads(threads or simulator_threads(devices))

    def diverged(agent: int, version: int, why: str) -> None:
        note("diverged", agent=agent, version=version, why=why)
        view.say(f"update {version} of agent {agent} was undone: {why}")

    def cannot_write(what: str, error: OSError) -> str:
        last = saved[-1] if saved else "none yet"
        return (
            f"cannot write the {what} in {folder.path}: {error.strerror or error}; "
            f"the last checkpoint is whole: {last}"
        )

    events = Events(
        waiting=waiting,
        joined=joined,
        left=left,
        progress=view.progress,
        metrics=write,
        diverged=diverged,
        checkpoint=save,
    )
    simulator = Simulator(
        config,
        scenario,
        sockets,
        events,
        operation.lease,
        operation.start_with,
        operation.max_rollbacks,
    )
    try:
        going_on = operation.resume and _restore(simulator, folder)
    except ConfigError:
        folder.close()
        sockets.close()
        raise
    loop = asyncio.get_running_loop()
    on_signals(lambda name: loop.call_soon_threadsafe(simulator.stop, f"stopped by {name}"))
    follow_parent()
    note("started", run=config.run_id, run_name=config.run_name, seed=config.seed)
    view.say(f"run {config.run_name}, seed {config.seed}: {folder.path}")
    if operation.resume:
        view.say(f"going on from {going_on or 'the beginning: there is no checkpoint yet'}")
    view.say(f"learners attach with: brigade-learn --connect {endpoint.control}")
    failure = None
    with view:
        try:
            await simulator.run()
        except RunFailed as error:
            failure = str(error)
            note("failed", why=failure)
        finally:
            folder.close()
            sockets.close()
    note("ended", episodes=simulator.statistics.total_episodes)
    where = f"final checkpoint: {saved[-1]}" if saved else "no checkpoint: nothing was learned"
    view.closing(simulator.statistics, simulator.repository.newest, where)
    if saved:
        view.say(f"try it: brigade evaluate {saved[-1]}")
    if failure:
        Console(stderr=True).print(Text(f"brigade sim: {printable(failure)}"), soft_wrap=True)
        return 1
    return 0


def _restore(simulator: Simulator, folder: RunFolder) -> str:
    """Let a simulator go on from its folder's newest checkpoint; say from where.

    Raises
    ------
    ConfigError
        The run is complete, or its checkpoint does not fit it.
    """
    content = folder.newest()
    if content is None:
        folder.rewind(0)
        return ""
    updates = content.simulator.get("rollout")
    try:
        simulator.restore(content)
    except ValueError as error:
        raise ConfigError(f"run {folder.path} cannot be resumed: {error}") from None
    if simulator.done:
        raise ConfigError(f"run {folder.path} is complete; there is nothing to go on with")
    simulator.earlier = folder.rewind(int(updates or 0))
    return f"{simulator.statistics.total_episodes:,} episodes, update {updates}"
