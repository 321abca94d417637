"""Whatever letters a terminal has, commands print, and what they print can be read."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import brigade
from brigade.cli import COMMANDS
from brigade.streams import IN_ASCII

from .processes import SMALL

PACKAGE = Path(str(brigade.__file__)).parent
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ASCII = {"PYTHONIOENCODING": "ascii:strict"}
# Of one rollout, in which games end by themselves.
BRIEF = ["--num-episodes", "1", "--max-nights", "1000", "--update-interval", "400"]
TRAIN = ["train", *SMALL, *BRIEF, "--device", "cpu"]


def printed(folder: Path, environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Run a command; return its exit code and all that it printed, which is ASCII."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"}
    done = subprocess.run(
        [sys.executable, "-m", "brigade", *arguments],
        cwd=folder,
        env=clean | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    text = done.stdout.decode("ascii")
    assert "Traceback" not in text
    return done.returncode, text


def letters_of_strings() -> set[str]:
    """Letters beyond ASCII in the package's strings, docstrings left out."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        docstrings = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and id(node) not in docstrings:
                found |= {x for x in str(node.value) if not x.isascii()}
    return found


def test_every_letter_that_we_print_has_a_spelling() -> None:
    assert letters_of_strings() <= IN_ASCII.keys()
    assert all(spelling.isascii() for spelling in IN_ASCII.values())


HELP = """
from brigade.cli import COMMANDS, main
for command in COMMANDS:
    print("command", command)
    assert main([command, "--help"]) == 0
"""


def test_help_is_readable_in_ascii(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"}
    done = subprocess.run(
        [sys.executable, "-c", HELP], cwd=tmp_path, env=clean | ASCII, capture_output=True,
        check=True,
    )  # fmt: skip
    texts = done.stdout.decode("ascii").split("command ")[1:]
    texts = [text for text in texts if text.split("\n")[0] in COMMANDS]
    assert [text.split("\n")[0] for text in texts] == list(COMMANDS)
    for text in texts:
        assert "\\" not in text
        learns = text.split("\n")[0] in ("train", "sim")
        assert ("GAE's lambda;" in " ".join(text.split())) == learns


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["evaluate", "random", "--episodes", "2", "--max-nights", "9"], "+-"),
        (["scenarios"], "default"),
        (["scenarios", "show", "default"], "default"),
        (["optimum", "v2_minimal"], "rest"),
        (TRAIN, "final checkpoint: "),
        (["--help"], "usage"),
    ],
)
def test_commands_print_in_ascii(tmp_path: Path, arguments: list[str], expected: str) -> None:
    code, text = printed(tmp_path, C_LOCALE, *arguments)
    assert code == 0, text
    assert expected in text
    assert ("the first rollout is the whole run" in text) == (arguments is TRAIN)
    assert "\\" not in text


@pytest.mark.parametrize("environment", [C_LOCALE, ASCII])
@pytest.mark.parametrize("arguments", [["evaluaté"], ["train", "--λ"], ["evaluate", "±"]])
def test_a_mistake_of_any_letters_is_one_line(
    tmp_path: Path, environment: dict[str, str], arguments: list[str]
) -> None:
    code, text = printed(tmp_path, environment, *arguments)
    assert code == 2
    assert len(text.splitlines()) == 1
