"""Which known word a mistyped one most likely meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LEAST_RATIO = 0.75  # of difflib's: below are words that merely share letters


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is really close to this one, or the only one that it is part of.

    Words are compared without case; their parts are divided by ``-`` or ``_``.

    Examples
    --------
    >>> nearest("randm", ["hero", "random"])
    'random'
    >>> nearest("games", ["num_games", "num_learners"])
    'num_games'
    >>> nearest("lam", ["lease", "gae_lambda"])
    """
    names = {each.lower(): each for each in known}
    close = get_close_matches(word.lower(), names, 1, LEAST_RATIO)
    if close:
        return names[close[0]]
    parts = _parts(word)
    within = [names[each] for each in names if parts and parts <= _parts(each)]
    return within[0] if len(within) == 1 else None


def _parts(word: str) -> set[str]:
    return set(word.lower().replace("-", "_").split("_")) - {""}
