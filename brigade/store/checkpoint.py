"""Checkpoints: one file, written whole or not at all, and loaded without running code in it."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from brigade.config import ConfigError, RunConfig, convert, renamed
from brigade.games.build import described
from brigade.games.build import read as read_game
from brigade.games.spec import GameSpec
from brigade.policy.build import described as described_policy
from brigade.policy.build import fits
from brigade.policy.build import read as read_policy
from brigade.policy.network import Network
from brigade.policy.population import Population
from brigade.ppo.agents import AgentState
from brigade.store.formats import FORMAT, FormatError, format_of, upgraded

# What reading a file that is a checkpoint in part may raise.
_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError)

_ARCHIVE = b"PK\x03\x04"  # what a zip archive begins with


class CheckpointError(ValueError):
    """A file is not a checkpoint that can be used: one line that names it and says why."""


@dataclass(frozen=True)
class Checkpoint:
    """All of a run at one moment, between two rollouts.

    ``agents`` are the learners' newest states; ``statistics`` and ``simulator`` are what
    ``Statistics.to_dict`` and ``Simulator.state`` give. ``simulator`` is empty where the file's
    format is an earlier one whose games cannot be gone on with; the networks then may be others
    than a new run of the same settings has.
    """

    run: str  # the run's id
    config: RunConfig
    game: GameSpec
    population: Population
    agents: list[AgentState]
    statistics: dict[str, Any]
    simulator: dict[str, Any]
    format: int = FORMAT  # of the file that it was read from; written is the present one

    @property
    def network(self) -> Network:
        """Shape of all agents' networks; ValueError where they have several roles."""
        return self.population.network

    @property
    def resumable(self) -> bool:
        """Whether the run can go on from here, rather than its agents alone."""
        return bool(self.simulator)


def check_resumable(path: Path, checkpoint: Checkpoint) -> None:
    """Check that the run that wrote ``path`` can go on from what was read there.

    Raises
    ------
    CheckpointError
        Its format is an earlier one that holds no games for this version of brigade.
    """
    if not checkpoint.resumable:
        raise CheckpointError(
            f"{path} (format {checkpoint.format}) holds no games that this version of brigade can "
            "go on with: resume it with the version that wrote it, or train its agents on in a new "
            f"run, --from {path}; they can also be evaluated and played"
        )


def save(
    path: Path, checkpoint: Checkpoint, check: Callable[[Checkpoint], None] = lambda found: None
) -> None:
    """Write a checkpoint to ``path``: under another name first, synced, read back, then renamed.

    ``check`` is given what was read back, and raises a ValueError where that will not do.

    Raises
    ------
    OSError
        It cannot be written (a full disk, say); what was at ``path`` is still there.
    CheckpointError
        What was written does not read as it should, and was removed again; likewise.
    """
    c = checkpoint
    content = {
        "format": FORMAT,
        "run": c.run,
        "scenario_name": c.game.name,
        "game": described(c.game),
        "population_size": c.population.size,
        "total_episodes": c.statistics["total_episodes"],
        "config": _plain(c.config.nameless),
        "roles": [
            {"name": role.name, "agents": len(agents), "policy": described_policy(network)}
            for role, (network, agents) in zip(c.game.roles, c.population, strict=True)
        ],
        "policies": {
            agent: c.population.network_of(agent).state_dict(torch.tensor(state.parameters))
            for agent, state in enumerate(c.agents)
        },
        "optimizers": {
            agent: {
                "first_moment": torch.tensor(state.first_moment),
                "second_moment": torch.tensor(state.second_moment),
                "steps": state.steps,
            }
            for agent, state in enumerate(c.agents)
        },
        "normalizers": {a: torch.tensor(s.statistics) for a, s in enumerate(c.agents)},
        "versions": {a: s.version for a, s in enumerate(c.agents)},
        "rollbacks": {a: s.rollbacks for a, s in enumerate(c.agents)},
        "statistics": c.statistics,
        "simulator": {name: _storable(value) for name, value in c.simulator.items()},
    }
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            _save(_alike(content), file)
            file.flush()
            os.fsync(file.fileno())
        _verify(temporary, checkpoint, check)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _verify(path: Path, meant: Checkpoint, check: Callable[[Checkpoint], None]) -> None:
    """See that a file holds what was meant, and that this will do."""
    found = load(path)
    same = all(
        (a.version, a.steps, a.rollbacks) == (b.version, b.steps, b.rollbacks)
        and all(
            np.array_equal(x, y)
            for x, y in zip(a.arrays().values(), b.arrays().values(), strict=True)
        )
        for a, b in zip(meant.agents, found.agents, strict=True)
    )
    if not same or found.statistics != meant.statistics:
        raise CheckpointError(f"{path} does not read as it was written")
    try:
        check(found)
    except ValueError as error:
        raise CheckpointError(f"{path} could not be gone on from: {error}") from error


def _save(content: dict[str, Any], file: BinaryIO) -> None:
    try:
        torch.save(content, file)
    except RuntimeError as error:
        # Where the disk is full, closing torch's archive fails too, and hides why.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def load(path: Path) -> Checkpoint:
    """Read a checkpoint of any format so far; nothing in the file is run.

    Raises
    ------
    CheckpointError
        There is no such file, or it is not a whole checkpoint of this format or an earlier one.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise CheckpointError(f"{path} is a folder; name a checkpoint in it") from None
    except Exception as error:  # torch raises many kinds for a file that is not one of its own
        raise CheckpointError(f"{path} {_fault(path, error)}") from None
    try:
        return _read(content)
    except (CheckpointError, ConfigError, FormatError) as error:
        raise CheckpointError(f"{path}: {error}") from None
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{path} is not a whole checkpoint: {type(error).__name__}: {error}"
        ) from None


def _fault(path: Path, error: Exception) -> str:
    """Say what is wrong with a file that torch cannot read.

    It is a zip archive, whose table of contents is its end. Torch's own words speak of that, or of
    the system's calls, or advise to read the file unsafely.
    """
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot be read: {error.strerror}"
    with path.open("rb") as file:
        start, size = file.read(len(_ARCHIVE)), file.seek(0, os.SEEK_END)
    if not _ARCHIVE.startswith(start):
        return "is not a readable checkpoint: it holds something else"
    if not zipfile.is_zipfile(path):
        return (
            f"is cut off: it has {size:,} bytes, and the table of contents that a checkpoint ends "
            "with is missing; copy it again, or use another checkpoint"
        )
    if type(error).__name__ == "UnpicklingError":
        return "is not a readable checkpoint: it holds something else than plain values"
    said = str(error).partition(". ")[0].partition("\n")[0] or type(error).__name__
    return f"is damaged, use another checkpoint: {said[:200]}"


def _read(content: Any) -> Checkpoint:
    written, content = format_of(content), upgraded(content)
    config = convert(RunConfig, renamed(content["config"]))
    game, roles = read_game(content["game"]), content["roles"]
    networks = [read_policy(role["policy"]) for role in roles]
    if (
        game.num_seats != config.num_agents_per_game
        or [role["name"] for role in roles] != [role.name for role in game.roles]
        or not all(fits(*pair) for pair in zip(networks, game.roles, strict=True))
    ):
        raise CheckpointError("its settings, game and policies do not fit together")
    population = Population(tuple(networks), tuple(int(role["agents"]) for role in roles))
    size = config.population_size
    wanted = [size if isinstance(size, int) else size.get(role.name) for role in game.roles]
    if wanted != list(population.sizes):
        raise CheckpointError("its settings are of another number of agents than it has")
    agents = []
    for agent in range(population.size):
        network = population.network_of(agent)
        optimizer, policy = content["optimizers"][agent], content["policies"][agent]
        for tensor in (*policy.values(), *optimizer.values()):
            _check_memory(tensor)
        state = AgentState(
            int(content["versions"][agent]),
            int(optimizer["steps"]),
            network.row(policy).numpy(),
            optimizer["first_moment"].numpy(),
            optimizer["second_moment"].numpy(),
            content["normalizers"][agent].numpy(),
            int(content.get("rollbacks", {}).get(agent, 0)),
        )
        check_state(network, state)
        agents.append(state)
    return Checkpoint(
        str(content["run"]),
        config,
        game,
        population,
        agents,
        _whole_statistics(content["statistics"], population.size),
        {name: _restored(value) for name, value in content["simulator"].items()},
        written,
    )


def _check_memory(tensor: object) -> None:
    """Refuse a tensor that claims more numbers than the file holds for it."""
    if isinstance(tensor, torch.Tensor) and tensor.layout is torch.strided:
        claimed = tensor.numel() * tensor.element_size()
        if tensor.untyped_storage().nbytes() < claimed:
            raise CheckpointError(f"a tensor of {claimed:,} bytes, of which the file holds less")


def _whole_statistics(statistics: dict[str, Any], population_size: int) -> dict[str, Any]:
    """Check that a checkpoint's statistics count what they should."""
    for name in ("total_episodes", "total_turns", "total_steps", "total_transitions"):
        if not isinstance(statistics[name], int) or statistics[name] < 0:
            raise CheckpointError(f"statistics: {name} is {statistics[name]!r}")
    for name in ("match_counts", "episode_rewards"):
        if set(statistics[name]) != set(range(population_size)):
            raise CheckpointError(f"statistics: {name} is not of {population_size} agents")
    return statistics


def check_state(network: Network, state: AgentState) -> None:
    """Check an agent's arrays.

    Raises
    ------
    CheckpointError
        A shape or dtype is wrong, or a number is not finite.
    """
    rows = np.dtype(np.float32), (network.num_parameters,)
    for name, array in state.arrays().items():
        dtype, shape = (np.dtype(np.float64), (3,)) if name == "statistics" else rows
        if array.dtype != dtype or array.shape != shape:
            raise CheckpointError(f"{name} is {array.dtype}{array.shape}, not {dtype}{shape}")
        if not np.isfinite(array).all():
            raise CheckpointError(f"{name} has numbers that are not finite")


def _plain(config: RunConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__struct_fields__}


def _alike(value: Any) -> Any:
    """Rebuild plain values such that equal ones give equal files.

    Pickle writes what is there twice once where it is the same object, and twice where it is equal.
    """
    if isinstance(value, dict):
        return {_alike(key): _alike(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_alike(each) for each in value]
    return sys.intern(value) if type(value) is str else value


def _storable(value: Any) -> Any:
    """Bytes and arrays as tensors, which load without unpickling anything of NumPy's."""
    if isinstance(value, bytes):
        return torch.from_numpy(np.frombuffer(bytearray(value), np.uint8))
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _restored(value: Any) -> Any:
    return value.numpy() if isinstance(value, torch.Tensor) else value


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last through a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
