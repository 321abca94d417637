"""Files of settings: whatever line is wrong is named."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brigade.tables import TableError, read_table


def read(name: str, data: bytes) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        return read_table(path)


LINES = st.integers(0, 30)
BROKEN = ["nonsense", "= 1", "a = ", "a = 1 2", 'a = "open', "\x07 = 1", "[a", "k1 = 1"]


@given(before=LINES, after=LINES, broken=st.sampled_from(BROKEN), windows=st.booleans())
def test_the_line_of_toml_that_is_wrong_is_named(
    before: int, after: int, broken: str, windows: bool
) -> None:
    if broken == "k1 = 1" and before == 0:
        return  # it is the first of that key
    lines = [f"k{n} = {n}" for n in range(1, before + 1)]
    text = "\n".join([*lines, broken, *(f"m{n} = 1" for n in range(after))]) + "\n"
    with pytest.raises(TableError) as refused:
        read("x.toml", text.replace("\n", "\r\n" if windows else "\n").encode())
    assert str(refused.value).startswith(f"line {before + 1}: ")


@given(before=LINES, after=LINES)
def test_the_line_of_json_that_is_wrong_is_named(before: int, after: int) -> None:
    lines = json.dumps(dict.fromkeys(map(str, range(before + after + 1))), indent=1).splitlines()
    lines[before + 1] = " nonsense"
    with pytest.raises(TableError, match=rf"^line {before + 2}: .* \(column 2\)$"):
        read("x.json", "\n".join(lines).encode())


@given(before=LINES, mark=st.booleans())
def test_the_line_that_is_not_utf8_is_named(before: int, mark: bool) -> None:
    data = b"\xef\xbb\xbf" * mark + b"# fine\n" * before + b"name = 'caf\xe9'\n"
    for name in ("x.toml", "x.json"):
        with pytest.raises(TableError, match=f"line {before + 1}: not UTF-8"):
            read(name, data)


KEYS = st.text("abc-_", min_size=1, max_size=6)


@given(st.dictionaries(KEYS, st.integers(-99, 99)), st.booleans())
def test_dashes_are_underscores_and_a_mark_at_the_start_is_none(
    table: dict[str, int], mark: bool
) -> None:
    start = b"\xef\xbb\xbf" * mark
    wanted = {key.replace("-", "_"): value for key, value in table.items()}
    as_toml = "".join(f'"{key}" = {value}\n' for key, value in table.items()).encode()
    for name, data in (("x.json", json.dumps(table).encode()), ("x.toml", as_toml)):
        if len(wanted) < len(table):
            with pytest.raises(TableError, match="is there twice"):
                read(name, start + data)
        else:
            assert read(name, start + data) == wanted


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot be read: No such file"):
        read_table(tmp_path / "none.toml")
    with pytest.raises(TableError, match="cannot be read: Is a directory"):
        read_table(tmp_path)
    with pytest.raises(TableError, match="larger than"):
        read("x.toml", b"# " + b"x" * (1 << 20))
