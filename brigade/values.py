"""Settings of several parts: as a command line gives them, and written back for one. Pure.

Tables are ``KEY=VALUE``, in several texts or separated by commas, or JSON; numbers are separated by
commas. Files have TOML's or JSON's own tables and lists.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec


class ValueFault(ValueError):
    """A text is no value of its setting: one line that names it and the way out."""


def flag(name: str) -> str:
    """Return a field's name on the command line."""
    return "--" + name.replace("_", "-")


def read_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Read the settings of several parts, which a command line gives as text.

    Raises
    ------
    ValueFault
        One is none: a line that names it.
    """
    found = dict(values)
    if isinstance(found.get("env"), dict):  # a table of a file
        table = found.pop("env")
        unknown = [name for name in table if name not in ("name", "args")]
        if unknown or "name" not in table or not isinstance(table.get("args", {}), dict):
            raise ValueFault(
                f"[env] has {', '.join(map(repr, table)) or 'nothing'}: it takes 'name', "
                "and 'args', a table of its arguments"
            )
        found["env"] = table["name"]
        more = _pairs("env_arg", found.get("env_arg", {}))
        found["env_arg"] = table.get("args", {}) | more if isinstance(more, dict) else more
    for name in ("env_arg", "roles", "population_size"):
        if name in found:
            found[name] = _pairs(name, found[name])
    if isinstance(found.get("env_arg"), dict):
        found["env_arg"] = {
            _plain("a name", name): _plain(name, value) for name, value in found["env_arg"].items()
        }
    if isinstance(found.get("env_resize"), int):  # of a file
        found["env_resize"] = str(found["env_resize"])
    weights = found.get("reward_weights")
    if isinstance(weights, str):
        found["reward_weights"] = _numbers("reward_weights", weights)
    return found


def _numbers(name: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")] if text else []
    except ValueError:
        raise ValueFault(
            f"{flag(name)} {text!r} must be numbers with commas between, such as 1,0.5"
        ) from None


def _plain(name: str, value: Any) -> Any:
    """Give an argument's value as JSON and messages have it, with lists for tuples."""
    match value:
        case None | bool():
            return value
        case int() if -(2**63) <= value < 2**64:
            return value
        case float() if math.isfinite(value):
            return value
        case str() if not re.search(r"[\ud800-\udfff]", value):
            return value
        case list() | tuple():
            return [_plain(name, each) for each in value]
        case dict() if all(isinstance(key, str) for key in value):
            return {_plain(name, key): _plain(name, each) for key, each in value.items()}
    raise ValueFault(
        f"--env-arg {name}: {value!r} is no number of 64 bits, text, truth value, None, "
        "list, or table whose names are text"
    )


def _pairs(name: str, value: Any) -> Any:
    """Read ``KEY=VALUE``, in several texts or separated by commas, or JSON as a table."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        return value
    if len(value) == 1 and value[0].startswith("{"):
        try:
            return msgspec.json.decode(value[0])
        except msgspec.DecodeError as error:
            raise ValueFault(f"{flag(name)} {value[0]!r}: {error}") from None
    if name == "population_size" and len(value) == 1 and "=" not in value[0]:
        return value[0]
    if name != "env_arg":  # whose values may have commas
        value = [part for text in value for part in text.split(",")]
    table: dict[str, Any] = {}
    for part in value:
        key, equals, text = map(str.strip, part.partition("="))
        if not equals or not key or (name == "env_arg" and not key.isidentifier()):
            raise ValueFault(f"{flag(name)} {part!r} is not KEY=VALUE, such as {_SUCH_AS[name]}")
        if key in table:
            raise ValueFault(f"{flag(name)}: {key} is given twice: give it once")
        table[key] = _VALUES[name](text)
    return table


def _literal(text: str) -> Any:
    """Read one of Python's literals (``3``, ``True``, ``None``, ``[1, 2]``), or else text.

    Also ``true`` and ``false``. Nothing is evaluated.
    """
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return {"true": True, "false": False}.get(text, text)


_SUCH_AS = {"env_arg": "N=5", "roles": "team=agent_*", "population_size": "adversary=4,agent=8"}


_VALUES: dict[str, Callable[[str], Any]] = {
    "env_arg": _literal,
    "roles": lambda text: text.split("+"),
    "population_size": str,
}


def as_arguments(name: str, value: Any) -> list[str]:
    """Write a setting as arguments of a command line, which reads the same from them."""
    if isinstance(value, bool):
        return [flag(name) if value else f"--no-{flag(name)[2:]}"]
    if isinstance(value, dict):  # whose names and texts may have any letters
        value = msgspec.json.encode(value).decode()
    elif isinstance(value, list):
        value = ",".join(map(str, value))
    return [f"{flag(name)}={value}"]
