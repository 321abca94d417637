"""Tables of settings in files, TOML or JSON, as people write them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 20


class TableError(ValueError):
    """A file cannot be read as a table: why, and in which line."""


def read_table(path: Path) -> dict[str, Any]:
    """Read one table: JSON where the file is named so, else TOML.

    The file is UTF-8, with or without a byte order mark. A key may have dashes for underscores.

    Raises
    ------
    TableError
        It cannot be; the sentence does not name the file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise TableError(f"cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise TableError(f"is larger than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"line {_line(data, error.start)}: not UTF-8") from None
    try:
        is_json = path.suffix.lower() == ".json"
        table = json.loads(text, object_pairs_hook=_pairs) if is_json else tomllib.loads(text)
    except TableError:
        raise
    except json.JSONDecodeError as error:
        said = f"{_lower(error.msg)} (column {error.colno})"
        raise TableError(f"line {error.lineno}: {said}") from None
    except tomllib.TOMLDecodeError as error:
        raise TableError(_toml_fault(str(error), text)) from None
    except RecursionError:
        raise TableError("is nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise TableError(_lower(str(error))) from None
    if not isinstance(table, dict):
        raise TableError(f"a table of settings is wanted, not {type(table).__name__}")
    return _pairs([(key.replace("-", "_"), value) for key, value in table.items()])


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a table of pairs, refusing a key that is there twice."""
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise TableError(f"{twice!r} is there twice")
    return table


def _toml_fault(said: str, text: str) -> str:
    """Put the line first: tomllib has it at the end, as ``(at line 3, column 9)``."""
    place = re.search(r" \(at line (\d+), column (\d+)\)$", said)
    if place:
        return f"line {place[1]}: {_lower(said[: place.start()])} (column {place[2]})"
    return f"line {len(text.splitlines())}: {_lower(said)}"  # at the end of the file


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
