"""What a run is, beside its settings: its id and its game. Imports no torch.

``run.json`` in the run's folder says it, so that nothing outside that folder is needed to go on, be
it the scenario file that the run was started with or the defaults of the version that started it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from brigade.config import ConfigError, RunConfig, convert, renamed
from brigade.games.build import described
from brigade.games.build import read as read_game
from brigade.games.spec import GameSpec

CONFIG, IDENTITY = "config.json", "run.json"
Keep = int | Literal["all"] | None  # of a run's checkpoints; see RunFolder


@dataclass(frozen=True)
class Identity:
    """A run's id on the wire, and its game.

    ``begun_from`` names what its agents were to begin with; it is empty where they were untrained.
    """

    run: str
    game: GameSpec
    begun_from: str = ""


def find_run(text: str, place: Path) -> Path:
    """Find the folder of the run that a person means.

    Parameters
    ----------
    text
        A run's folder, a checkpoint in it, or the run's name.
    place
        Where runs of that name lie.

    Raises
    ------
    ConfigError
        There is no such run.
    """
    path = Path(text)
    folders = (path.parent,) if path.is_file() else (path, place / text)
    for folder in folders:
        if (folder / CONFIG).is_file():
            return folder
    if not any(folder.exists() for folder in (path, *folders)):
        raise ConfigError(f"{text}: no such file or folder, and no run of that name in {place}")
    if path.is_file():
        raise ConfigError(
            f"{text}: there is no run: no {CONFIG} lies beside it; --from {text} begins one with "
            "its agents"
        )
    places = " nor ".join(f"{folder}" for folder in folders)
    raise ConfigError(f"{text}: there is no run: no {CONFIG} in {places}")


def read_config(folder: Path) -> RunConfig:
    """Read a run's settings, its folder being where it lies now.

    Raises
    ------
    ConfigError
        They cannot be read, or are those of another version.
    """
    folder = folder.absolute()
    try:
        config = convert(RunConfig, renamed(_read(folder / CONFIG)))
    except ConfigError as error:
        raise ConfigError(f"{folder / CONFIG}: {error}") from None
    place = {"run_name": folder.name, "checkpoint_dir": str(folder.parent)}
    try:
        return convert(RunConfig, {n: getattr(config, n) for n in config.__struct_fields__} | place)
    except ConfigError as error:
        raise ConfigError(f"{folder} cannot be a run's folder: {error}; rename it") from None


def read_identity(folder: Path) -> Identity | None:
    """Read what a run is; None where it was begun by a version that did not write it down.

    Raises
    ------
    ConfigError
        The file is spoilt.
    """
    path = folder / IDENTITY
    if not path.exists():
        return None
    content = _read(path)
    try:
        return Identity(str(content["run"]), _game(content, folder), str(content["begun_from"]))
    except ConfigError:  # its settings'
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path} is not whole: {type(error).__name__}: {error}") from None


def _game(content: dict[str, Any], folder: Path) -> GameSpec:
    """Read the game, which earlier versions wrote as a scenario alone."""
    if "game" in content:
        return read_game(content["game"])
    seats = read_config(folder).num_agents_per_game
    arguments = {"num_seats": seats, "scenario": content["scenario"]}
    description = {"kind": "bucket_brigade", "version": 1, "name": content["scenario_name"]}
    return read_game(description | {"arguments": arguments})


def read_keep(folder: Path) -> Keep:
    """Read which of its checkpoints a run keeps: all, where an earlier version began it.

    Raises
    ------
    ConfigError
        The file is spoilt.
    """
    path = folder / IDENTITY
    keep = _read(path).get("keep", "all") if path.exists() else "all"
    if keep is None or keep == "all":
        return None if keep is None else "all"
    if type(keep) is int and keep > 0:
        return keep
    raise ConfigError(f"{path} is not whole: keep is {keep!r}")


def write_keep(folder: Path, keep: Keep) -> None:
    """Change which of its checkpoints a run keeps, where ``run.json`` says what it is."""
    path = folder / IDENTITY
    if path.exists():
        write_whole(path, json.dumps(_read(path) | {"keep": keep}, indent=2) + "\n")


def write_identity(folder: Path, identity: Identity, keep: Keep) -> None:
    """Write ``run.json``."""
    content = {
        "keep": keep,
        "run": identity.run,
        "begun_from": identity.begun_from,
        "game": described(identity.game),
    }
    write_whole(folder / IDENTITY, json.dumps(content, indent=2) + "\n")


def write_config(folder: Path, config: RunConfig, *, first: bool = False) -> None:
    """Write ``config.json``; who does so ``first`` has the folder.

    Raises
    ------
    FileExistsError
        Somebody else has.
    """
    settings = {name: getattr(config, name) for name in config.__struct_fields__}
    text = json.dumps(settings, indent=2) + "\n"
    if first:
        with (folder / CONFIG).open("x") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                (folder / CONFIG).unlink()
                raise
    else:
        write_whole(folder / CONFIG, text)


def write_whole(path: Path, text: str) -> None:
    """Write a small file, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is no table of settings")
    return content
