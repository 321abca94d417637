"""``brigade train``: starts the simulator and the learners as a person would, and minds them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Annotated

from msgspec import Meta

from brigade.agent_numbers import ranges
from brigade.config import ConfigError, PositiveInt, RunConfig, flag
from brigade.run.process import PARENT_VARIABLE, available_cores, pick_device, quiet_threads
from brigade.run.settle import run_config, settle
from brigade.wire.endpoints import Endpoint

POLL_SECONDS = 0.05
# Longer than the simulator takes to end a run in order.
PATIENCE_SECONDS = 8.0


class TrainConfig(RunConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
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


@dataclass(frozen=True)
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    log: IO[bytes] | None  # None: it writes to our terminal

    def said(self) -> str:
        """All that the child has written."""
        if self.log is None:
            return ""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")


def run_train(config: TrainConfig) -> int:
    """Train a population; return the exit code.

    Raises
    ------
    ConfigError, AddressError
        Something is wrong with what was asked for; nothing was started or written.
    """
    if config.num_learners > config.population_size:
        raise ConfigError(
            f"--num-learners {config.num_learners} is more than --population-size "
            f"{config.population_size}: a learner needs an agent"
        )
    if config.device not in ("auto", "cpu"):
        pick_device(config.device)  # a wrong one is refused before anything starts
    settled, _ = settle(run_config(config))
    folder = Path(settled.checkpoint_dir) / str(settled.run_name)
    if folder.exists():
        raise ConfigError(f"run {folder} exists: choose another --run-name")
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="brigade-"))
        address = config.bind or f"ipc://{scratch}/control"
        Endpoint.parse(address)
        launcher = _Launcher(Path(scratch))
        launcher.start("sim", [*_arguments(settled), "--bind", address], own_terminal=True)
        threads = config.threads or max(1, (available_cores() - 1) // config.num_learners)
        for number, agents in enumerate(deal(config.population_size, config.num_learners)):
            launcher.start(
                "learn",
                [
                    *("--connect", address, "--agents", ranges(agents)),
                    *("--device", config.device, "--threads", str(threads)),
                    *("--name", f"learner-{number}"),
                ],
            )
        return launcher.mind()


def deal(population_size: int, num_learners: int) -> list[list[int]]:
    """Deal agents out as evenly as can be, neighbours together."""
    bounds = [population_size * i // num_learners for i in range(num_learners + 1)]
    return [list(range(a, b)) for a, b in pairwise(bounds)]


def _arguments(config: RunConfig) -> list[str]:
    """Write a config as command-line arguments, leaving out what is default."""
    defaults = RunConfig()
    arguments: list[str] = []
    for name in RunConfig.__struct_fields__:
        value = getattr(config, name)
        if value == getattr(defaults, name):
            continue
        if isinstance(value, bool):
            arguments.append(flag(name) if value else f"--no-{flag(name)[2:]}")
        else:
            arguments += [flag(name), str(value)]
    return arguments


class _Launcher:
    """Starts child processes, passes signals on, and ends with all of them ended."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._children: list[_Child] = []
        self._signals: list[signal.Signals] = []
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda number, _: self._signals.append(signal.Signals(number)))

    def start(self, command: str, arguments: Sequence[str], *, own_terminal: bool = False) -> None:
        """Start ``brigade COMMAND ARGUMENTS`` in a session of its own.

        So Ctrl-C reaches only us, and the simulator ends the run in order.
        """
        number = len(self._children)
        log = None if own_terminal else (self._scratch / f"{command}-{number}.log").open("w+b")
        process = subprocess.Popen(
            [sys.executable, "-m", "brigade", command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | quiet_threads() | {PARENT_VARIABLE: str(os.getpid())},
        )
        self._children.append(_Child(f"brigade {command}", process, log))

    def mind(self) -> int:
        """Wait for the simulator's end; end the run if a learner dies or a signal comes."""
        simulator, *learners = self._children
        try:
            failed: _Child | None = None
            asked = 0
            deadline: float | None = None
            while simulator.process.poll() is None:
                if len(self._signals) > asked:
                    asked = len(self._signals)
                    simulator.process.send_signal(self._signals[-1])
                    deadline = deadline or time.monotonic() + PATIENCE_SECONDS
                if failed is None:
                    failed = next((c for c in learners if c.process.poll() not in (None, 0)), None)
                    if failed is not None:
                        simulator.process.send_signal(signal.SIGTERM)
                        deadline = deadline or time.monotonic() + PATIENCE_SECONDS
                if deadline is not None and time.monotonic() > deadline:
                    simulator.process.kill()
                time.sleep(POLL_SECONDS)
            self._await_ends(learners)
            return self._exit_code(simulator, failed)
        finally:
            for child in self._children:
                if child.process.poll() is None:
                    child.process.kill()
                    child.process.wait()
                if child.log is not None:
                    child.log.close()

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
            print(
                f"brigade train: {failed.name} died with exit code {failed.process.returncode}, "
                "so the run was ended",
                file=sys.stderr,
            )
            return failed.process.returncode if failed.process.returncode == 2 else 1
        if self._signals:
            return 128 + self._signals[0]
        if code < 0:
            print(
                f"brigade train: {simulator.name} was killed by {signal.Signals(-code).name}",
                file=sys.stderr,
            )
        return 1 if code < 0 else code
