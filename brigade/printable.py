"""Text that shows as what it is, wherever it is printed: names, paths, and others' messages."""

from __future__ import annotations

import re

# Control characters (C0, DEL, C1), the ends of lines and paragraphs, what changes the direction of
# writing (Unicode's UAX #9), and lone surrogates, which stand for bytes that are not UTF-8. For a
# regular expression's [].
UNPRINTABLE = (
    r"\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
)


def printable(text: object) -> str:
    r"""Write what would move the cursor, or not show, as in Python's literals: ``\x1b``, ``\n``."""
    return re.sub(f"[{UNPRINTABLE}]", _escaped, str(text))


def shortened(text: str, most: int = 40) -> str:
    """Write text in so many letters at most, its start and its end with ``...`` between."""
    if len(text) <= most:
        return text
    start = (most - 2) // 2
    return f"{text[:start]}...{text[len(text) - (most - 3 - start) :]}"


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
