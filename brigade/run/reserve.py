"""A folder of its own for a run that nobody gave a name. Imports no torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import msgspec

from brigade.config import ConfigError, RunConfig


@contextmanager
def reserved(config: RunConfig, *, named: bool) -> Iterator[RunConfig]:
    """Reserve the folder of a run whose name was made up, which others may have made up too.

    The folder is made at once; where there is one of that name, ``-2``, ``-3`` ... is appended. If
    it is still empty in the end, since the run did not start, it is removed, with the folders that
    were made for it.

    Parameters
    ----------
    config
        Resolved: it has a name.
    named
        Whether a person gave that name, or the run exists. Then nothing is made or changed.

    Raises
    ------
    ConfigError
        The folder cannot be made.
    """
    if named:
        yield config
        return
    place = Path(config.checkpoint_dir)
    made = [folder for folder in (place, *place.parents) if not folder.exists()]
    try:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # a link that leads nowhere, say
            raise ConfigError(f"cannot make {place}: {error.strerror}") from None
        for number in count(1):
            name = f"{config.run_name}-{number}" if number > 1 else f"{config.run_name}"
            try:
                (place / name).mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise ConfigError(f"cannot make {place / name}: {error.strerror}") from None
            made.insert(0, place / name)
            break
        yield msgspec.structs.replace(config, run_name=name)
    finally:
        with contextlib.suppress(OSError):  # it is in use
            for folder in made:
                folder.rmdir()


def check_free(folder: Path) -> None:
    """Check that a run can be made in this folder, which does not exist or is empty.

    Raises
    ------
    ConfigError
        There is something in it, or it is no folder.
    """
    try:
        taken = any(folder.iterdir())
    except FileNotFoundError:
        taken = False
    except OSError as error:
        raise ConfigError(f"cannot make {folder}: {error.strerror}") from None
    if taken:
        raise ConfigError(f"run {folder} exists: choose another --run-name")
