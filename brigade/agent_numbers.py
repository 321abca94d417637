"""Agent numbers as people write them: ``0-3,6``."""

from __future__ import annotations

import re
from collections.abc import Iterable


def parse_numbers(text: str) -> tuple[int, ...]:
    """Read ``"6,0-3"`` as agent numbers: in the order they are written in, repeated ones too.

    Raises
    ------
    ValueError
        It is not a list of numbers and ranges.
    """
    agents: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,6})(?:-(\d{1,6}))?\s*", part)
        if not match:
            raise ValueError(f"{text!r} is not like 0-3,7")
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        if last < first:
            raise ValueError(f"{text!r}: {last} comes before {first}")
        agents.extend(range(first, last + 1))
    return tuple(agents)


def parse_agents(text: str) -> tuple[int, ...]:
    """Read ``"0-3,6"`` as sorted agent numbers, each of them once.

    Raises
    ------
    ValueError
        It is not a list of numbers and ranges.
    """
    try:
        return tuple(sorted(set(parse_numbers(text))))
    except ValueError as error:
        raise ValueError(f"--agents {error}; also known: any:4, auto") from None


def parse_wanted(text: str) -> int | tuple[int, ...] | None:
    """Read what a learner asks for: ``"any:4"`` is 4, ``"0-3,6"`` the numbers, ``"auto"`` None.

    Raises
    ------
    ValueError
        It is none of these.
    """
    some = re.fullmatch(r"any:(\d{1,6})", text)
    if some and int(some.group(1)) == 0:
        raise ValueError(f"--agents {text!r} asks for no agent")
    if some:
        return int(some.group(1))
    return None if text == "auto" else parse_agents(text)


def ranges(agents: Iterable[int]) -> str:
    """Write agent numbers so that :func:`parse_agents` reads them: ``0-3,6``."""
    parts: list[str] = []
    rest = sorted(agents)
    while rest:
        last = next(i for i in range(len(rest)) if i + 1 == len(rest) or rest[i + 1] != rest[i] + 1)
        parts.append(f"{rest[0]}-{rest[last]}" if last else f"{rest[0]}")
        rest = rest[last + 1 :]
    return ",".join(parts)


def format_agents(agents: Iterable[int]) -> str:
    """Write agent numbers for people: ``agents 0-3, 6``."""
    listed = sorted(agents)
    return ("agent " if len(listed) == 1 else "agents ") + ranges(listed).replace(",", ", ")
