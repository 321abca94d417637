"""What a person types for an environment's arguments, as values."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from brigade.games.pettingzoo.errors import CannotFind
from brigade.printable import printable, shortened


def parse(given: Sequence[str]) -> dict[str, Any]:
    """Read arguments, each a text ``key=value``.

    A value is one of Python's literals (``3``, ``0.5``, ``True``, ``None``, ``[1, 2]``,
    ``"3"``), also ``true`` and ``false``, or else the text as it stands. Nothing is evaluated.

    Raises
    ------
    CannotFind
        A text is no ``key=value``, or a key is there twice.

    Examples
    --------
    >>> parse(["N=5", "render_mode=human", "size=(2, 3)"])
    {'N': 5, 'render_mode': 'human', 'size': (2, 3)}
    """
    values: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not (equals and key.isidentifier()):
            said = shortened(printable(repr(text)), 60)
            raise CannotFind(f"--env-arg {said} is not KEY=VALUE, such as --env-arg N=5")
        if key in values:
            raise CannotFind(f"--env-arg {key} is given twice: give it once")
        values[key] = _value(value.strip())
    return values


def weights(text: str) -> tuple[float, ...]:
    """Read what the parts of a vector of rewards are worth, numbers with commas between.

    Raises
    ------
    CannotFind
        They are not.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        said = shortened(printable(repr(text)), 60)
        raise CannotFind(
            f"--reward-weights {said} must be numbers with commas between, such as 1,0.5"
        ) from None


_WORDS = {"true": True, "false": False}


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _WORDS.get(text, text)
