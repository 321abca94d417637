"""Text for terminals: what does not show as itself is escaped, and is not in anybody's name."""

from __future__ import annotations

import sys
import unicodedata

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brigade import Scenario
from brigade.printable import printable, shortened
from brigade.wire.messages import PROTOCOL, BadMessage, Heartbeat, decode, encode

MARKS = {"LEFT-TO-RIGHT MARK", "RIGHT-TO-LEFT MARK", "ARABIC LETTER MARK"}
TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # of UAX #9


def shows(character: str) -> bool:
    """Whether a character shows as itself, by what Unicode says of it."""
    return not (
        unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"}
        or unicodedata.bidirectional(character) in TURNS
        or unicodedata.name(character, "") in MARKS
    )


EVERY = [chr(number) for number in range(sys.maxunicode + 1)]
SHOWN = [character for character in EVERY if shows(character)]
HIDDEN = [character for character in EVERY if not shows(character)]


def test_all_that_shows_is_left_as_it_is_and_all_else_is_escaped() -> None:
    assert printable("".join(SHOWN)) == "".join(SHOWN)
    for character in HIDDEN:
        escaped = printable(character)
        assert escaped.isascii()
        assert escaped.isprintable()
        assert escaped == repr(character)[1:-1], "as Python writes it"


@given(st.text())
def test_it_is_one_line_and_the_same_when_it_is_done_twice(text: str) -> None:
    once = printable(text)
    assert len(once.splitlines()) <= 1
    assert all(map(shows, once))
    assert printable(once) == once


def test_a_name_on_the_wire_is_any_text_that_shows() -> None:
    for start in range(0, len(SHOWN), 255):
        name = "".join(SHOWN[start : start + 255])
        header, _ = decode([bytes(frame) for frame in encode(Heartbeat(run=name))])
        assert header == Heartbeat(run=name)
    for character in HIDDEN:
        if unicodedata.category(character) == "Cs":
            continue  # cannot be sent at all
        body = {"type": "heartbeat", "protocol": PROTOCOL, "run": f"a{character}b", "arrays": []}
        with pytest.raises(BadMessage):
            decode([msgpack.packb(body)])


def test_a_scenarios_labels_are_texts_that_show() -> None:
    assert Scenario(name="".join(SHOWN)).name == "".join(SHOWN)
    for character in HIDDEN:
        if unicodedata.category(character) == "Cs":
            continue  # is read as a replacement character
        for label in ("name", "description"):
            with pytest.raises(ValueError, match=f"{label} must have no control characters"):
                Scenario(**{label: f"a{character}b"})


@pytest.mark.parametrize("most", [5, 40, 299, 300])
def test_a_long_name_is_cut_in_its_middle(most):
    name = "".join(chr(0x100 + i) for i in range(300))
    short = shortened(name, most)
    start, dots, end = short.partition("...")
    assert len(short) == most
    assert name.startswith(start)
    assert name.endswith(end)
    assert bool(dots) == (most < 300)
