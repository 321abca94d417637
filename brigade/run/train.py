"""``brigade train``: starts the simulator and the learners as a person would, and minds them."""

from __future__ import annotations

import math
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from brigade.agent_numbers import ranges
from brigade.config import ConfigError, PositiveInt, RunConfig
from brigade.printable import printable
from brigade.run.child import as_typed, child_command, child_environment
from brigade.run.cores import available_cores
from brigade.run.logs import note, start_logs
from brigade.run.options import changed_arguments, check_options, option_arguments
from brigade.run.process import (
    GRACE_SECONDS,
    SAME_SIGNAL_SECONDS,
    SCRATCH_VARIABLE,
    pick_device,
    thread_settings,
)
from brigade.run.rendezvous import Rendezvous, arrange
from brigade.run.reserve import check_free, reserved
from brigade.run.resolve import Plan, resolve
from brigade.run.scratch import Scratch, scratch_folder
from brigade.run.server_options import ServerOptions, check_server_options
from brigade.typed import PARENT_VARIABLE
from brigade.values import as_arguments
from brigade.wire.endpoints import Endpoint

if TYPE_CHECKING:
    from brigade.run.here import SimulatorHere

POLL_SECONDS = 0.05
WIDE = 256  # hidden size from which two threads learn faster than one, as measured on 2 cores
# A learner that is found dead may have followed its simulator, which then shows soon.
RESTART_SECONDS = 1.0
LONGEST_LINE = 1000  # characters, which a pipe takes at once whatever they are


class TrainConfig(ServerOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run, and the processes that it is made of."""

    num_learners: Annotated[
        int, Meta(ge=1, description="learner processes, which the agents are dealt to")
    ] = 1
    device: Annotated[str, Meta(description="the learners' device: auto, cpu, cuda or cuda:N")] = (
        "auto"
    )
    bind: Annotated[
        str | None, Meta(description="address for more learners; a private one if not given")
    ] = None
    threads: Annotated[
        PositiveInt | None,
        Meta(description="CPU threads of each learner; a fair share of the cores"),
    ] = None
    max_restarts: Annotated[
        int, Meta(ge=0, description="times that each lost process is started again")
    ] = 3


@dataclass
class _Child:
    """A process that we keep going."""

    name: str
    arguments: list[str]  # after "brigade"
    again: list[str]  # the same when it is started again
    log: IO[bytes] | None  # None: it writes to our terminal
    process: subprocess.Popen[bytes] | SimulatorHere = field(init=False)
    restarts: int = 0
    found_dead: float | None = None  # on a monotonic clock

    def said(self) -> str:
        """All that the child has written."""
        if self.log is None:
            return ""
        self.log.seek(0, os.SEEK_SET)
        return self.log.read().decode(errors="replace")


def run_train(config: TrainConfig) -> int:
    """Train a population; return the exit code.

    Raises
    ------
    ConfigError, AddressError
        Something is wrong with what was asked for; nothing was started or written.
    """
    with training(config) as launcher:
        return launcher.mind()


@contextmanager
def training(config: TrainConfig, make: Callable[..., Any] | None = None) -> Iterator[Launcher]:
    """Start a training; whoever gets the launcher minds it.

    Parameters
    ----------
    make
        What makes an environment, where its name alone does not. The simulator is then a thread of
        this process.

    Raises
    ------
    ConfigError, AddressError
        Something is wrong with what was asked for; nothing was started or written.
    """
    if config.device not in ("auto", "cpu"):
        pick_device(config.device)  # a wrong one is refused before anything starts
    plan = resolve(config, make)
    check_options(config, plan.config)
    endpoint = None if config.bind is None else Endpoint.parse(config.bind)
    check_server_options(config, endpoint)
    if config.num_learners > plan.config.num_agents:
        raise ConfigError(
            f"--num-learners {config.num_learners} is more than --population-size "
            f"{plan.config.num_agents}: a learner needs an agent"
        )
    named = config.run_name is not None or config.resume is not None
    if named and not config.resume:
        check_free(plan.folder)
    start_logs("train", config.log_file)
    with scratch_folder() as scratch, reserved(plan.config, named=named) as resolved:
        folder = Path(resolved.checkpoint_dir) / str(resolved.run_name)
        rendezvous = arrange(config, endpoint, scratch, config.num_learners)
        # A run that is told to fail when it loses a learner is not mended behind its back.
        max_restarts = config.max_restarts if resolved.on_learner_loss != "fail" else 0
        launcher = Launcher(scratch, folder, max_restarts, thread_settings(config.device))
        if make is None:
            first, again = _simulator_arguments(config, resolved, rendezvous, folder)
            launcher.start("sim", first, again, own_terminal=True)
        else:
            launcher.start_here(
                _played_here(replace(plan, config=resolved), config, rendezvous, make)
            )
        threads = config.threads or learner_threads(resolved.hidden_size, config.num_learners)
        for number, agents in enumerate(deal(resolved.num_agents, config.num_learners)):
            arguments = [
                *(*rendezvous.learners, "--agents", ranges(agents)),
                *("--device", config.device, "--threads", str(threads)),
                *("--name", f"learner-{number}", "--local-rank", str(number)),
                *((f"--log-file={config.log_file}",) if config.log_file else ()),
            ]
            # Until the lease of the one before runs out, the agents are still taken.
            launcher.start("learn", arguments, [*arguments, "--stand-by"])
        yield launcher


def _simulator_arguments(
    config: TrainConfig, resolved: RunConfig, rendezvous: Rendezvous, folder: Path
) -> tuple[list[str], list[str]]:
    """Write the arguments of ``brigade sim``: of its first start, and of any after that."""
    options = option_arguments(config)
    for name, value in rendezvous.simulator.items():
        options += as_arguments(name, value)
    again = [f"--resume={folder}", *changed_arguments(config), *options]
    if resolved.env is not None:  # which is code: a run's folder alone does not have it run
        again += as_arguments("env", resolved.env)
    if config.resume is None:
        return [*_arguments(resolved, config), *options], again
    if Path(config.resume).is_file():  # perhaps not the newest
        return [f"--resume={config.resume}", *again[1:]], again
    return again, again


def _played_here(
    plan: Plan, config: TrainConfig, rendezvous: Rendezvous, make: Callable[..., Any]
) -> Callable[[], SimulatorHere]:
    """Prepare what ``brigade sim`` does, for a thread of this process."""
    from brigade.run.here import SimulatorHere
    from brigade.run.keys import server_auth
    from brigade.run.sim import SimConfig, simulate

    known = set(SimConfig.__struct_fields__) - {"threads"}
    settings = {n: getattr(config, n) for n in config.__struct_fields__ if n in known}
    options = SimConfig(**settings | rendezvous.simulator)
    endpoint = Endpoint.parse(options.bind)
    auth = server_auth(options.key, options.admitted, rendezvous.folder) if options.key else None
    return lambda: SimulatorHere(lambda begun: simulate(plan, options, endpoint, auth, begun, make))


def learner_threads(hidden_size: int, num_learners: int) -> int:
    """Give each learner its share of the cores.

    The simulator has little to do beside wide networks, so learners may use all cores. Products of
    narrow ones are too small to gain by being split, and lose by waiting for a core that is busy.
    """
    cores = available_cores() - (0 if hidden_size >= WIDE else 1)
    return max(1, cores // num_learners)


def deal(population_size: int, num_learners: int) -> list[list[int]]:
    """Deal agents out as evenly as can be, neighbours together."""
    bounds = [population_size * i // num_learners for i in range(num_learners + 1)]
    return [list(range(a, b)) for a, b in pairwise(bounds)]


def _arguments(run: RunConfig, config: TrainConfig) -> list[str]:
    """Write a run that begins as arguments of ``brigade sim``, leaving out what is default."""
    defaults = RunConfig()
    arguments = [] if config.from_ is None else [f"--from={config.from_}"]
    for name in RunConfig.__struct_fields__:
        value, given = getattr(run, name), name in config.given
        if name == "scenario" and config.from_ is not None and not given:
            continue  # it is that of the agents
        if name == "num_agents_per_game" and run.env is not None:
            continue  # which are the environment's
        if value is None or (value == getattr(defaults, name) and not given):
            continue
        arguments += as_arguments(name, value)
    return arguments


class Launcher:
    """Starts child processes, passes a signal on, and ends with all of them ended.

    A second signal that is more than an echo of the first ends them hard.

    Parameters
    ----------
    scratch
        Folder for what the children write.
    folder
        Where the run lies once it has begun.
    max_restarts
        Times that each child is started again after it was lost.
    environment
        What children find in theirs beside ours.
    """

    def __init__(
        self, scratch: Scratch, folder: Path, max_restarts: int, environment: dict[str, str]
    ) -> None:
        self.folder = folder
        self._scratch = scratch
        self._max_restarts = max_restarts
        self._environment = environment
        self._children: list[_Child] = []
        self._signal: int | None = None
        self._signalled = math.inf  # on a monotonic clock
        self._hurried = False
        # Without it there is nothing yet to start a simulator again from.
        self._known_by = folder / "config.json"
        if threading.current_thread() is threading.main_thread():
            for each in (signal.SIGINT, signal.SIGTERM):
                signal.signal(each, self._take_signal)

    def _take_signal(self, number: int, frame: object) -> None:
        if self._signal is None:
            self._signal, self._signalled = number, time.monotonic()
        elif time.monotonic() - self._signalled > SAME_SIGNAL_SECONDS:
            self._hurried = True

    def start(
        self,
        command: str,
        arguments: Sequence[str],
        again: Sequence[str],
        *,
        own_terminal: bool = False,
    ) -> None:
        """Start ``brigade COMMAND ARGUMENTS``; with ``again`` for arguments if it is lost."""
        number = len(self._children)
        log = None if own_terminal else (self._scratch.path / f"{command}-{number}.log").open("w+b")
        name = f"brigade {command}"
        child = _Child(name, [command, *arguments], [command, *again], log)
        self._spawn(child, child.arguments)
        self._children.append(child)

    def start_here(self, start: Callable[[], SimulatorHere]) -> None:
        """Start the simulator in this process; it cannot be started again."""
        child = _Child("the simulator", [], [], None)
        child.process = start()
        self._children.append(child)

    def _spawn(self, child: _Child, arguments: Sequence[str]) -> None:
        """Start a child in a session of its own.

        So Ctrl-C reaches only us, and the simulator ends the run in order.
        """
        ours = {PARENT_VARIABLE: str(os.getpid()), SCRATCH_VARIABLE: str(self._scratch.path)}
        process = subprocess.Popen(
            child_command(*arguments),
            stdin=subprocess.PIPE if child.log is None else subprocess.DEVNULL,
            stdout=child.log,
            stderr=child.log,
            start_new_session=True,
            pass_fds=(self._scratch.lock,),
            env=os.environ | self._environment | child_environment() | ours,
        )
        child.process, child.found_dead = process, None
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)

    def mind(self) -> int:
        """Wait for the run's end; start children that are lost again, and pass signals on."""
        simulator, *learners = self._children
        try:
            failed: _Child | None = None
            deadline = math.inf
            while simulator.process.poll() is None or self._mend(simulator):
                if self._signal is not None and deadline == math.inf:
                    simulator.process.send_signal(self._signal)
                    deadline = time.monotonic() + GRACE_SECONDS
                # What was signalled to all of us at once may end a learner before the simulator.
                for child in learners if failed is None and self._signal is None else []:
                    if child.process.poll() not in (None, 0) and not self._mend(child):
                        failed = child
                        simulator.process.send_signal(signal.SIGTERM)
                        deadline = time.monotonic() + GRACE_SECONDS
                if self._hurried or time.monotonic() > deadline:
                    simulator.process.kill()
                time.sleep(POLL_SECONDS)
            if not self._hurried:
                self._await_ends(learners)
            return self._exit_code(simulator, failed)
        finally:
            for child in self._children:
                if child.process.poll() is None:
                    child.process.kill()
                    child.process.wait()
                for file in (child.log, child.process.stdin):
                    if file is not None:
                        file.close()

    @property
    def error(self) -> BaseException | None:
        """What the simulator raised, if it was in this process."""
        return getattr(self._children[0].process, "error", None)

    def _mend(self, child: _Child) -> bool:
        """Start a lost child again, soon; False where that would be in vain.

        A simulator is lost where it was killed: otherwise it ended as it meant to. A learner that
        was refused (exit code 2) would be refused again.
        """
        code, simulator = child.process.returncode, self._children[0]
        if self._signal is not None or child.restarts >= self._max_restarts:
            return False
        if code == 2 or (child is simulator and code >= 0) or not child.again:
            return False
        if child is not simulator:
            child.found_dead = child.found_dead or time.monotonic()
            if time.monotonic() - child.found_dead < RESTART_SECONDS:
                return True
        child.restarts += 1
        last = child.said().strip().splitlines()[-1:] if code > 0 else []
        line = "".join(
            [
                f"{child.name} {_how_it_died(code)}; started again ",
                f"({child.restarts} of {self._max_restarts})",
                *(f"; its last words: {words}" for words in last),
            ]
        )
        note("restarted", text=line)
        self._say(f"brigade train: {printable(line)}")
        known = child is not simulator or self._known_by.exists()
        self._spawn(child, child.again if known else child.arguments)
        return True

    def _say(self, line: str) -> None:
        """Print a line, through the simulator if it runs: its view has our terminal."""
        simulator = self._children[0].process
        if simulator.stdin is None:  # it is here, and its view, if there is one, prints for us
            pass
        elif simulator.poll() is None:
            try:
                # Written whole or not at all, and without waiting for one that is suspended.
                os.write(simulator.stdin.fileno(), f"{line[:LONGEST_LINE]}\n".encode())
                return
            except (BlockingIOError, BrokenPipeError):
                pass
        elif sys.stdout.isatty():  # its view stands there still, and the cursor is hidden
            print("\n\x1b[?25h", end="", flush=True)
        print(line, file=sys.stderr, flush=True)

    def _await_ends(self, children: Sequence[_Child]) -> None:
        """Give children a moment to end by themselves, which the simulator told them to."""
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline:
            if all(child.process.poll() is not None for child in children):
                return
            time.sleep(POLL_SECONDS)
        for child in children:
            child.process.terminate()
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            if all(child.process.poll() is not None for child in children):
                return
            time.sleep(POLL_SECONDS)

    def _exit_code(self, simulator: _Child, failed: _Child | None) -> int:
        code = simulator.process.returncode
        if failed is not None:
            sys.stderr.write(failed.said())
            how = _how_it_died(failed.process.returncode)
            print(f"brigade train: {failed.name} {how}, so the run was ended", file=sys.stderr)
            return failed.process.returncode if failed.process.returncode == 2 else 1
        if self._signal is not None and code != 0 and not self._known_by.exists():
            name = signal.Signals(self._signal).name
            print(f"brigade train: stopped by {name} before the run began", file=sys.stderr)
            return 128 + self._signal
        if self._hurried and code < 0:
            again = shlex.join(
                [as_typed("brigade"), "train", "--resume", str(self._known_by.parent)]
            )
            print(
                "brigade train: ended at once by a second signal, and not in order: what was not "
                f"in a checkpoint is lost; go on with: {again}",
                file=sys.stderr,
            )
        elif code < 0:
            lost = "" if self._signal is None else ", so the run was not ended in order"
            print(f"brigade train: {simulator.name} {_how_it_died(code)}{lost}", file=sys.stderr)
        if self._signal is not None and code <= 0:
            return 128 + self._signal
        return 1 if code < 0 else code


def _how_it_died(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"died with exit code {code}"
