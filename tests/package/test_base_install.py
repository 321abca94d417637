"""What the base install and its extras can do, in interpreters that see nothing else.

Each sees the standard library and a folder of links: to brigade, and to the packages of this
environment that the distribution's metadata names, with all that these need.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

import brigade
from brigade.cli import COMMANDS
from brigade.extras import DISTRIBUTION, EXTRAS

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
NAME = re.compile(r"[\w.-]+")


def names(requirements: Iterable[str]) -> set[str]:
    """Packages of requirements, with those of our own extras that they name."""
    found: set[str] = set()
    for requirement in requirements:
        package = NAME.match(requirement)[0]
        if package == PROJECT["name"]:
            for extra in re.search(r"\[(.*)\]", requirement)[1].split(","):
                found |= names(PROJECT["optional-dependencies"][extra])
        else:
            found.add(package)
    return found


@cache
def closure(package: str) -> frozenset[str]:
    """The package and what it needs in this environment."""
    found, new = set(), {package}
    while new:
        found |= new
        needs = [r for p in new for r in importlib.metadata.requires(p) or () if ";" not in r]
        new = names(needs) - found
    return frozenset(found)


def install(folder: Path, requirements: Iterable[str]) -> Path:
    """Link brigade and the packages into a folder."""
    (folder / "brigade").symlink_to(Path(brigade.__file__).parent)
    for package in {p for name in names(requirements) for p in closure(name)}:
        files = importlib.metadata.files(package)
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(files[0].locate().parents[len(files[0].parts) - 1] / top)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return install(tmp_path_factory.mktemp("base"), PROJECT["dependencies"])


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    extra = PROJECT["optional-dependencies"]["cli"]
    return install(tmp_path_factory.mktemp("cli"), PROJECT["dependencies"] + extra)


def run(packages: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these packages and no others; -S leaves this environment's out."""
    return subprocess.run(
        [sys.executable, "-S", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_extras_are_those_of_the_metadata():
    extras = PROJECT["optional-dependencies"]
    assert PROJECT["name"] == DISTRIBUTION
    assert {name: set(packages) for name, packages in EXTRAS.items()} == {
        name: names(extras[name]) for name in EXTRAS
    }
    assert names(extras["all"]) == {p for name in extras for p in names(extras[name])}


def test_the_base_install_plays(base, tmp_path):
    done = run(base, tmp_path, "-P", str(Path(__file__).with_name("plays.py")))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("brigade.parallel_env(render_mode='rgb_array')", "render"),
        ("brigade.parallel_env(render_mode='human')", "render"),
        ("brigade.env(render_mode='rgb_array')", "render"),
        ("brigade.load_agents('final_checkpoint.pt')", "train"),
        ("import brigade.play", "cli"),
        ("from brigade.optimum import print_optimum; print_optimum(None, 'default')", "cli"),
    ],
)
def test_a_call_that_needs_an_extra_names_it(base, tmp_path, code, extra):
    done = run(base, tmp_path, "-c", f"import brigade; {code}")
    *_, line = done.stderr.splitlines()
    assert line.startswith("brigade.extras.MissingExtra: ")
    assert line.endswith(f': pip install "brigade-marl[{extra}]"')


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_needs_an_extra_names_it(base, tmp_path, command):
    extra = "cli" if command in ("check-env", "optimum", "play", "scenarios") else "train"
    line = refused(run(base, tmp_path, "-m", "brigade", command))
    assert line.startswith(f"brigade {command}: this command needs ")
    assert line.endswith(f': pip install "brigade-marl[{extra}]"')


@pytest.mark.parametrize("words", [(), ("--version",)])
def test_the_base_install_says_which_commands_there_are(base, tmp_path, words):
    done = run(base, tmp_path, "-m", "brigade", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"brigade {brigade.__version__}" if words else "usage: brigade")


@pytest.mark.parametrize(
    "words",
    [
        ("scenarios",),
        ("scenarios", "show", "default"),
        ("optimum", "v2_minimal"),
        ("play", "hero,spread,liar,random", "--max-cycles", "5"),
        ("play", "hero,spread,liar,random", "--max-cycles", "5", "--record", "game.json"),
    ],
    ids=" ".join,
)
def test_with_cli_the_game_is_explained_solved_and_shown(cli, tmp_path, words):
    done = run(cli, tmp_path, "-m", "brigade", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize(
    ("words", "says", "extra"),
    [
        (("play", "first"), "loading first needs torch", "train"),
        (("play", "first:0,hero"), "loading first needs torch", "train"),
        (("play", "--record", "game.gif"), "recording 'game.gif' needs pillow", "render"),
        (("evaluate", "random"), "this command needs torch", "train"),
        (("train", "--help"), "this command needs torch", "train"),
    ],
    ids=str,
)
def test_with_cli_what_needs_more_names_it(cli, tmp_path, words, says, extra):
    (tmp_path / "first").mkdir()
    line = refused(run(cli, tmp_path, "-m", "brigade", *words))
    assert line.startswith(f"brigade {words[0]}: {says}")
    assert line.endswith(f': pip install "brigade-marl[{extra}]"')
