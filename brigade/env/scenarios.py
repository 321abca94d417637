"""Scenarios by name, by file, and with changes.

A scenario file is TOML or JSON: one table of game parameters, and three optional keys beside
them: ``base`` (a named scenario whose values hold where the file is silent), ``name`` and
``description``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from brigade._core import Scenario, named_scenario, scenario_names
from brigade.printable import printable
from brigade.tables import read_table

__all__ = ["load_scenario", "scenario_names"]

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
    try:
        if path.suffix.lower() not in (".toml", ".json"):
            raise ValueError(f"its name must end in .toml or .json, not {path.suffix!r}")
        table = read_table(path)
        labels = {key: table.pop(key) for key in _LABELS if key in table}
        labels.setdefault("name", printable(path.stem))
        base = table.pop("base", None)
        for key, value in {**labels, "base": base or ""}.items():
            if not isinstance(value, str):
                raise ValueError(f"{key} must be text, not {value!r:.80}")
        if "description" in labels:  # may go over several lines
            labels["description"] = " ".join(labels["description"].split())
        parameters = named_scenario(base).to_dict() if base is not None else {}
        return Scenario(**{**parameters, **table, **labels})
    except (TypeError, ValueError) as error:
        raise ValueError(f"scenario file {str(path)!r}: {error}") from None
