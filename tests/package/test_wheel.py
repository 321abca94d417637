"""The wheel and the sdist, each installed into clean environments and tried there.

Behind ``make test-wheel``, which builds them and names their folder by BRIGADE_DIST.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from brigade.cli import COMMANDS

HERE = Path(__file__).parent
UV = Path(sys.executable).with_name("uv")
DIST = os.environ.get("BRIGADE_DIST")

pytestmark = [
    pytest.mark.skipif(DIST is None, reason="slow: make test-wheel"),
    pytest.mark.timeout(3600),
]


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    without = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=without | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def built(kind: str) -> Path:
    assert DIST is not None
    [file] = Path(DIST).absolute().glob({"wheel": "*.whl", "sdist": "*.tar.gz"}[kind])
    return file


class Environment:
    """A clean environment with nothing but what is installed into it."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self._venv = folder / "venv"
        made = run(UV, "venv", "--python", python, self._venv, cwd=folder)
        if made.returncode != 0:
            assert python != "{}.{}".format(*sys.version_info), (
                made.stderr
            )  # the one that runs this
            pytest.skip(f"no Python {python}: {' '.join(made.stderr.split())[:300]}")

    def install(self, requirement: str) -> None:
        done = run(UV, "pip", "install", requirement, cwd=self.folder, VIRTUAL_ENV=str(self._venv))
        assert done.returncode == 0, done.stderr

    def run(self, program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return run(self._venv / "bin" / program, *words, cwd=self.folder)

    def does(self, program: str, *words: str | Path) -> str:
        done = self.run(program, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def types(self, code: Path) -> str:
        """Check a user's code, with this environment's packages as its installed ones."""
        python = self._venv / "bin" / "python"
        options = ["--config-file", HERE / "mypy.ini", "--python-executable", python]
        return run(sys.executable, "-m", "mypy", *options, code, cwd=self.folder).stdout


CASES = [("wheel", "3.11"), ("wheel", "3.12"), ("wheel", "3.13"), ("sdist", "3.11")]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def environment(request, tmp_path_factory) -> tuple[Environment, Path]:
    kind, python = request.param
    return Environment(tmp_path_factory.mktemp(f"{kind}-{python}"), python), built(kind)


def test_the_base_plays_and_then_with_train_a_run_is_trained_measured_and_shown(environment):
    clean, file = environment
    clean.install(str(file))
    clean.does("python", "-P", HERE / "plays.py")
    for command in COMMANDS:
        refused = clean.run("brigade", command)
        assert refused.returncode == 2
        assert 'pip install "brigade-marl[' in refused.stderr

    clean.install(f"{file}[train]")
    train = "--population-size 4 --hidden-size 32 --batch-size 64 --update-interval 8 --seed 7"
    short = ["--num-games", "16", "--num-episodes", "150", "--run-name", "first"]
    said = clean.does("brigade", "train", "--scenario", "default", *train.split(), *short)
    assert "final checkpoint" in said
    assert clean.does("brigade", "evaluate", "first", "--episodes", "10", "--max-nights", "20")
    assert "first:" in clean.does("brigade", "play", "first:0-1,hero,spread", "--max-cycles", "5")
    refused = clean.run("brigade", "play", "first", "--record", "game.gif")
    assert refused.returncode == 2
    assert refused.stderr.endswith('needs pillow: pip install "brigade-marl[render]"\n')

    clean.install(f"{file}[render]")
    clean.does("brigade", "play", "first", "--max-cycles", "5", "--record", "game.gif")
    assert (clean.folder / "game.gif").stat().st_size > 0
    assert clean.types(HERE / "typed.py").startswith("Success")


def test_the_wheel_is_for_any_cpython_from_311_on_and_manylinux():
    name = built("wheel").name
    assert "-cp311-abi3-" in name
    assert "manylinux_2_17_" in name
    held = zipfile.ZipFile(built("wheel")).namelist()
    assert {"brigade/py.typed", "brigade/_core.pyi", "brigade/_core.abi3.so"} <= set(held)
    assert not [file for file in held if file.split("/")[0] in ("tests", "bench", "docs")]
