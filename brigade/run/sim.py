"""``brigade sim``: the simulator as a process of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType
from rich.console import Console
from rich.text import Text

from brigade.config import ConfigError, PositiveInt, RunConfig
from brigade.games.vector import GameFailed, Saves
from brigade.printable import printable
from brigade.run.child import as_typed
from brigade.run.keys import server_auth
from brigade.run.logs import note, start_logs
from brigade.run.options import RuntimeOptions, check_options, playing
from brigade.run.process import (
    follow_parent,
    keep_memory,
    launchers_folder,
    on_launchers_messages,
    on_signals,
    simulator_threads,
    use_threads,
    without_windows,
)
from brigade.run.reserve import reserved
from brigade.run.resolve import Plan, check_code, resolve, wherever
from brigade.run.server_options import ServerOptions, check_server_options
from brigade.sim.diagnosis import ONE_ROLLOUT, is_one_rollout
from brigade.sim.events import Events
from brigade.sim.lease_table import Lease
from brigade.sim.preparation import games_of, population_of, rollout_size
from brigade.sim.simulator import NotWritten, RunFailed, Simulator
from brigade.sim.view import View
from brigade.store.checkpoint import Checkpoint, CheckpointError, check_resumable
from brigade.store.folder import FINAL, RunFolder, disk_use, free_bytes
from brigade.store.identity import Identity, Keep
from brigade.typed import PARENT_VARIABLE, typed
from brigade.values import as_arguments, flag
from brigade.wire.auth import ServerAuth
from brigade.wire.endpoints import Endpoint
from brigade.wire.transport import SimulatorSockets

log = logging.getLogger(__name__)

FAULT = "environment_error.txt"  # in the run's folder
LARGE_ROLLOUT = 100e6  # bytes that a person should know of
DEFAULT_BIND = "tcp://127.0.0.1:5750"


class SimConfig(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
    without_windows()
    keep_memory()
    endpoint = Endpoint.parse(config.bind)
    check_server_options(config, endpoint)
    auth = server_auth(config.key, config.admitted, launchers_folder()) if config.key else None
    plan = resolve(config)
    check_options(config, plan.config)
    named = config.run_name is not None or config.resume is not None
    with reserved(plan.config, named=named) as run:
        plan = replace(plan, config=run)
        return asyncio.run(_run(plan, config, endpoint, auth))


async def _run(plan: Plan, options: SimConfig, endpoint: Endpoint, auth: ServerAuth | None) -> int:
    loop = asyncio.get_running_loop()

    def begun(simulator: Simulator) -> None:
        on_signals(lambda name: loop.call_soon_threadsafe(simulator.stop, f"stopped by {name}"))
        follow_parent()

    try:
        await simulate(plan, options, endpoint, auth, begun)
    except (RunFailed, GameFailed) as failure:
        words = Text(f"{typed('sim')}: {printable(failure)}")
        Console(stderr=True).print(words, soft_wrap=True)
        return 1
    return 0


async def simulate(
    plan: Plan,
    options: SimConfig,
    endpoint: Endpoint,
    auth: ServerAuth | None,
    begun: Callable[[Simulator], None],
    make: Callable[..., Any] | None = None,
) -> None:
    """Play a run, and print how it goes.

    Parameters
    ----------
    begun
        Called once it is about to be played, with what can stop it.
    make
        What makes an environment, where its name alone does not.

    Raises
    ------
    ConfigError, CheckpointError, EnvironmentUnusable, TransportError
        It cannot begin.
    GameFailed
        A game failed before its first step.
    RunFailed
        It cannot go on. What can be kept is.
    """
    with ExitStack() as opened:
        try:
            await _simulate(plan, options, endpoint, auth, begun, make, opened)
        except GameFailed as broken:
            at = write_fault(plan.folder, broken)
            if at.exists():
                broken.args = (f"{broken}; the traceback is in {at}",)
            raise


async def _simulate(
    plan: Plan,
    options: SimConfig,
    endpoint: Endpoint,
    auth: ServerAuth | None,
    begun: Callable[[Simulator], None],
    make: Callable[..., Any] | None,
    opened: ExitStack,
) -> None:
    """Do as :func:`simulate` does; what has to be closed is, at the latest with ``opened``."""
    config = plan.config
    folder, saved = _take(plan, options) if options.resume else (None, None)
    if folder is not None:
        opened.enter_context(closing(folder))
    identity = plan.identity or (Identity(saved.run, saved.game) if saved else None)
    if identity is None:
        raise ConfigError(f"run {config.run_name} has no whole checkpoint to go on from")
    if make is None:  # a function is code that the caller has, whatever the files say
        env = None if options.env is None else wherever(options.env)
        check_code(f"run {folder.path if folder else config.run_name}", identity.game.code, env)
    trained = saved or plan.source  # whose networks may be those of an earlier version
    population = trained.population if trained else population_of(config, identity.game)
    games = games_of(config, identity.game, replace(playing(options), make=make))
    game = opened.enter_context(closing(games))
    longest = 4 * population.longest_row + (1 << 20)
    sockets = SimulatorSockets(endpoint, weights_frame_bytes=longest, server_auth=auth)
    opened.enter_context(closing(sockets))
    if folder is None:
        folder = RunFolder(config, identity, keep=_kept(options))
        opened.enter_context(closing(folder))
    console = Console()
    asked = "log_interval" in options.given or config.log_interval != RunConfig().log_interval
    view = View(
        config,
        identity.game,
        console,
        log_interval=config.log_interval if asked else None,
        resumed=options.resume is not None,
    )
    written: list[str] = []

    def save(content: Checkpoint, final: bool) -> None:
        try:
            written.append(str(folder.save(content, final=final, check=simulator.check)))
            note("checkpoint", path=written[-1], episodes=content.statistics["total_episodes"])
        except OSError as error:
            raise NotWritten(cannot_write("checkpoint", error)) from error
        except CheckpointError as error:
            raise NotWritten(f"{error}; {last_whole()}") from error

    def write(row: dict[str, object]) -> None:
        note("update", **{name: row[name] for name in ("update", "episodes", "transitions")})
        view.lag([float(lag) for lag in row["lag"]])  # type: ignore[attr-defined]
        try:
            folder.write_metrics(row, int(row["transitions"]))  # type: ignore[call-overload]
        except OSError as error:
            raise NotWritten(cannot_write("metrics", error)) from error

    def cannot_write(what: str, error: OSError) -> str:
        why = error.strerror or error
        return f"cannot write the {what} in {folder.path}: {why}; {last_whole()}"

    def last_whole() -> str:
        last = folder.newest_path()
        return f"the last checkpoint is whole: {last}" if last else "there is no checkpoint yet"

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
        devices = [lease.device for lease in simulator.server.lease_table.leases.values()]
        use_threads(options.threads or simulator_threads(devices))

    def diverged(agent: int, version: int, why: str) -> None:
        note("diverged", agent=agent, version=version, why=why)
        view.diverged(agent, version, why)

    broken: list[GameFailed] = []

    def failed(failure: GameFailed) -> None:
        broken.append(failure)
        note("game_failed", why=str(failure))
        view.say(f"the traceback is in {write_fault(folder.path, failure)}")

    events = Events(
        remark=view.say,
        failed=failed,
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
        game,
        population,
        sockets,
        events,
        options.lease,
        options.start_with,
        options.max_rollbacks,
        run=identity.run,
    )
    try:
        going_on = options.resume and _restore(simulator, folder, saved)
        if plan.source is not None:
            first = _begin_with(simulator, plan.source, f"--from {options.from_}")
            folder.save(first, check=simulator.check)
    except OSError as error:
        raise ConfigError(cannot_write("run", error)) from None
    begun(simulator)
    on_launchers_messages(asyncio.get_running_loop(), view.say)
    note("started", run=identity.run, run_name=config.run_name, seed=config.seed)
    what = f"{config.num_agents} agents on {printable(identity.game.name)}"
    view.say(f"run {config.run_name}: {what}, seed {config.seed}, {folder.path}")
    for sentence in plan.notes:
        view.say(sentence)
    if options.resume:
        view.say(f"going on from {going_on or 'the beginning: there is no checkpoint yet'}")
        if going_on and not isinstance(game, Saves):
            view.say(f"{printable(identity.game.name)} cannot be saved: its episodes begin anew")
    if plan.source is not None:
        view.say(f"beginning with the agents of {options.from_}")
    foreseen = not options.resume and is_one_rollout(config, identity.game)
    if foreseen:
        view.say(ONE_ROLLOUT)
    need, free = disk_use(config, population, folder.keep), free_bytes(folder.path)
    if need > free:
        view.say(
            f"the checkpoints of this run may need {need / 1e9:.1f} GB and {free / 1e9:.1f} GB are "
            "free there: --keep and a larger --checkpoint-interval make it less"
        )
    transitions, size = rollout_size(config, identity.game)
    if size > LARGE_ROLLOUT or any(role.pictures for role in identity.game.roles):
        view.say(
            f"a rollout has {transitions:,} transitions of {size / transitions / 1e3:.3g} kB: "
            f"{size / 1e6:,.1f} MB"
        )
    attach = [as_typed("brigade-learn"), "--connect", endpoint.control]
    view.say(f"learners attach with: {shlex.join(attach)}")
    failure = None
    with view:
        try:
            await simulator.run()
        except RunFailed as error:
            failure = error
            note("failed", why=str(error))
        finally:
            try:
                opened.close()
            except GameFailed as late:  # at its close, when all is done that it was for
                view.say(str(late))
    note("ended", episodes=simulator.statistics.total_episodes)
    newest = folder.newest_path()
    what = "final" if newest is not None and newest.name == FINAL and written else "last"
    where = f"{what} checkpoint: {newest}" if newest else "no checkpoint: nothing was learned"
    view.closing(simulator.statistics, simulator.repository.newest, where)
    versions = simulator.repository.newest.values()
    if simulator.done and not foreseen and max(versions, default=0) == 1:
        view.say(ONE_ROLLOUT)
    if simulator.stopped:
        how = f"go on with: brigade.train(resume={str(folder.path)!r}, env=...)"
        if make is None:
            how = _how_to_go_on(folder, endpoint, options)
        view.say(f"{simulator.stopped} at {simulator.share:.1%}; {how}")
    elif newest and not failure and make is None:
        words = [as_typed("brigade"), "evaluate", str(newest)]
        words += [] if config.env is None else ["--env", config.env]
        view.say(f"try it: {shlex.join(words)}")
    if failure:
        raise failure from (broken[0] if broken else None)


def write_fault(folder: Path, failure: GameFailed) -> Path:
    """Write the traceback of a game that failed into the run's folder; say where."""
    path = folder / FAULT
    with suppress(OSError), path.open("a") as file:
        file.write(failure.details + "\n")
    return path


def _kept(options: SimConfig) -> Keep | UnsetType:
    """Which checkpoints are kept, where that was said; a run that exists knows it otherwise."""
    return options.keep if "keep" in options.given else UNSET


def _how_to_go_on(folder: RunFolder, endpoint: Endpoint, options: SimConfig) -> str:
    """Say by which command a stopped run goes on, reachable by the same learners."""
    trains = PARENT_VARIABLE in os.environ
    words = [as_typed("brigade"), "train"] if trains else [as_typed("brigade-sim")]
    words += ["--resume", str(folder.path)]
    words += as_arguments("env", options.env) if options.env is not None else []
    if not (trains and endpoint.scheme == "ipc"):
        words += ["--bind", endpoint.control]
    usual = RuntimeOptions()
    for name in ("key", "admitted", "env_workers", "env_timeout", "on_env_error"):
        value = getattr(options, name)
        words += [] if value == getattr(usual, name, None) else [flag(name), str(value)]
    words += ["--insecure"] if options.insecure else []
    return f"go on with: {shlex.join(words)}"


def _take(plan: Plan, options: SimConfig) -> tuple[RunFolder, Checkpoint | None]:
    """Take the folder of a run to go on with, and the newest checkpoint in it.

    Raises
    ------
    ConfigError, CheckpointError
        Another process has it; or it cannot be gone on with.
    """
    assert options.resume is not None
    folder = RunFolder(plan.config, keep=_kept(options))
    try:
        path, saved = next(folder.checkpoints(), (None, None))
        if path is not None and saved is not None:
            named = Path(options.resume)
            if named.is_file() and named.resolve() != path.resolve():
                raise ConfigError(
                    f"--resume {named}: the run goes on from its newest checkpoint, {path}; "
                    f"--from {named} begins another run with those agents"
                )
            check_resumable(path, saved)
        elif plan.identity is not None and plan.identity.begun_from:
            raise ConfigError(
                f"run {folder.path} was cut off before its agents were there: remove it and begin "
                "it again, or choose another --run-name"
            )
    except BaseException:
        folder.close()
        raise
    return folder, saved


def _begin_with(simulator: Simulator, source: Checkpoint, what: str) -> Checkpoint:
    """Let a simulator begin with trained agents; return where the run begins.

    Raises
    ------
    ConfigError
        They are no networks to compute with.
    """
    try:
        return simulator.begin_with(source.agents)
    except ValueError as error:
        raise ConfigError(f"{what}: {error}") from None


def _restore(simulator: Simulator, folder: RunFolder, saved: Checkpoint | None) -> str:
    """Let a simulator go on from its folder's newest checkpoint that it can; say from where.

    ``saved`` is the newest, which has been read already.

    Raises
    ------
    ConfigError
        The run is complete, or no checkpoint fits it.
    """
    refused = ""
    older = (content for _, content in islice(folder.checkpoints(), 1, None))
    for content in chain([saved], older) if saved else ():
        try:
            simulator.restore(content)
        except ValueError as error:
            at = f"the checkpoint after {content.statistics['total_episodes']:,} episodes"
            refused = refused or f"{at}: {error}"
            log.warning("%s: %s; the one before it will do", at, error)
            continue
        if simulator.done:
            raise ConfigError(_complete(simulator, folder))
        update = int(content.simulator["rollout"])
        simulator.earlier = folder.rewind(update)
        folder.change(simulator.config)
        return f"{simulator.statistics.total_episodes:,} episodes, update {update}"
    if refused:
        raise ConfigError(f"run {folder.path} cannot be resumed: {refused}")
    folder.rewind(0)
    folder.change(simulator.config)
    return ""


def _complete(simulator: Simulator, folder: RunFolder) -> str:
    """Say what a run is complete with, and how it can go on all the same."""
    config, counted = simulator.config, simulator.statistics
    limits = {
        "--num-episodes": (config.num_episodes, counted.total_episodes),
        "--num-transitions": (config.num_transitions, counted.total_transitions),
    }
    more = [
        f"{name} beyond {done}"
        for name, (limit, done) in limits.items()
        if limit is not None and done >= limit
    ]
    return f"run {folder.path} is complete; give {' and '.join(more)} to go on with it"
