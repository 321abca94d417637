"""Scenarios by name, by file, and with changes.

A scenario file is TOML or JSON: one table of game parameters, and three optional keys beside
them: ``base`` (a named scenario whose values hold where the file is silent), ``name`` and
``description``.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

from brigade._core import Scenario, named_scenario, scenario_names

__all__ = ["load_scenario", "scenario_names"]

_MAX_FILE_BYTES = 1 << 20
_LABELS = ("name", "description")


def load_scenario(source: str | os.PathLike[str] | Scenario, **changes: Any) -> Scenario:
    """Give a scenario by name, from a file, or as it is, with parameters changed.

    Parameters
    ----------
    source
        The name of one of :func:`scenario_names`, the path of a ``.toml`` or ``.json`` file, or a
        :class:`Scenario`.
    **changes
        Game parameters that replace those of ``source``.

    Raises
    ------
    ValueError
        If the name is unknown, the file cannot be read, or a parameter is refused.

    Examples
    --------
    >>> load_scenario("hard").min_nights
    15
    >>> load_scenario("hard", min_nights=5).min_nights
    5
    """
    if isinstance(source, Scenario):
        scenario = source
    elif isinstance(source, os.PathLike):
        scenario = _from_file(Path(source))
    elif isinstance(source, str):
        is_file = source.lower().endswith((".toml", ".json"))
        scenario = _from_file(Path(source)) if is_file else named_scenario(source)
    else:
        raise ValueError(
            "scenario must be a name, the path of a .toml or .json file, or a Scenario, "
            f"not {source!r:.80}"
        )
    return scenario.replace(**changes) if changes else scenario


def _from_file(path: Path) -> Scenario:
    """Read one scenario file; every fault is a ValueError that names the file."""
    table = _read_table(path)
    labels = {key: table.pop(key) for key in _LABELS if key in table}
    labels.setdefault("name", path.stem)
    base = table.pop("base", None)
    for key, value in {**labels, "base": base or ""}.items():
        if not isinstance(value, str):
            raise ValueError(f"scenario file {str(path)!r}: {key} must be text, not {value!r:.80}")
    try:
        parameters = named_scenario(base).to_dict() if base is not None else {}
        return Scenario(**{**parameters, **table, **labels})
    except (TypeError, ValueError) as error:
        raise ValueError(f"scenario file {str(path)!r}: {error}") from None


def _read_table(path: Path) -> dict[str, Any]:
    """Parse a TOML or JSON file into one table."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(
            f"scenario file {str(path)!r} cannot be read: {error.strerror or error}"
        ) from None
    if len(data) > _MAX_FILE_BYTES:
        raise ValueError(f"scenario file {str(path)!r} is larger than {_MAX_FILE_BYTES} bytes")
    kind = path.suffix.lower()
    try:
        if kind == ".toml":
            table: Any = tomllib.loads(data.decode("utf-8"))
        elif kind == ".json":
            table = json.loads(data.decode("utf-8"))
        else:
            raise ValueError(f"its name must end in .toml or .json, not {kind!r}")
    except RecursionError:
        raise ValueError(f"scenario file {str(path)!r} is nested too deeply") from None
    except ValueError as error:  # TOML, JSON and UTF-8 faults are all ValueErrors
        raise ValueError(f"scenario file {str(path)!r}: {error}") from None
    if not isinstance(table, dict):
        raise ValueError(
            f"scenario file {str(path)!r} must hold one table of parameters, "
            f"not {type(table).__name__}"
        )
    return table
