"""Children run the code of their parent, whatever lies in the folder where somebody trains."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import brigade
from brigade.run.child import as_typed

from .processes import SMALL

TRAIN = ["train", *SMALL, "--num-episodes", "1", "--device", "cpu", "--run-name", "mine"]
PROGRAM = """
import sys
sys.path[:0] = sys.argv[1].split(":")
from brigade.cli import main
sys.exit(main(sys.argv[2:]))
"""


def start(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, as a terminal would."""
    return subprocess.run(
        words,
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_what_lies_in_the_current_folder_is_not_loaded(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("brigade")
    command = [str(script)] if script.exists() else [sys.executable, "-P", "-m", "brigade"]
    trap = "raise SystemExit('the current folder was loaded')\n"
    (tmp_path / "brigade").mkdir()
    names = ("brigade/__init__", "brigade/__main__", "torch", "json", "zmq", "numpy", "typing")
    for name in names:
        (tmp_path / f"{name}.py").write_text(trap)
    done = start(tmp_path, *command, *TRAIN)
    assert done.returncode == 0, done.stdout
    assert "final checkpoint: " in done.stdout


@pytest.mark.parametrize("found_by", ["sys.path", "PYTHONPATH", "the current folder"])
def test_a_child_is_of_the_same_copy_as_its_parent(tmp_path: Path, found_by: str) -> None:
    copy, more = tmp_path / "copy", tmp_path / "more"
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(str(brigade.__file__)).parent, copy / "brigade", ignore=skipped)
    simulator = copy / "brigade" / "run" / "sim.py"
    simulator.write_text("import only_here\n")  # a library of which only the parent knows where
    more.mkdir()
    (more / "only_here.py").write_text("raise SystemExit('this is the copy')\n")
    if found_by == "sys.path":
        done = start(tmp_path, sys.executable, "-P", "-c", PROGRAM, f"{copy}:{more}", *TRAIN)
    elif found_by == "PYTHONPATH":
        path = {"PYTHONPATH": f"{copy}:{more}"}
        done = start(tmp_path, sys.executable, "-P", "-m", "brigade", *TRAIN, **path)
    else:
        path = {"PYTHONPATH": str(more)}
        done = start(copy, sys.executable, "-m", "brigade", *TRAIN, **path)
    assert "this is the copy" in done.stdout, done.stdout
    assert done.returncode == 1


def test_what_the_interpreter_was_told_to_ignore_its_children_ignore(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('PYTHONPATH was looked at')\n")
    words = [sys.executable, "-I", "-m", "brigade", *TRAIN]
    done = start(tmp_path, *words, PYTHONPATH=str(tmp_path))
    assert "PYTHONPATH was looked at" not in done.stdout
    assert done.returncode == 0, done.stdout


def test_hints_are_commands_that_work_as_they_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    for name in ("python", "brigade"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.chdir(tmp_path)
    assert as_typed("brigade") == ".venv/bin/brigade"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert as_typed("brigade") == str(folder / "brigade")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin")
    assert as_typed("brigade") == "brigade"
