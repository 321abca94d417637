"""Every example in the README and the guides runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from .run.processes import brigade, run

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(name: str, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall((ROOT / name).read_text()) if kind == language]


PYTHON = [
    pytest.param(text, id=f"{name}-{number}")
    for name in ("README.md", "docs/protocol.md")
    for number, text in enumerate(blocks(name, "python"))
]


@pytest.mark.parametrize("code", PYTHON)
def test_python_examples_run(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def words(line: str) -> list[str]:
    command, *rest = line.split()
    return rest if command == "brigade" else [command.removeprefix("brigade-"), *rest]


def test_training_on_one_machine_as_in_the_readme(tmp_path: Path) -> None:
    train, evaluate = blocks("README.md", "sh")[0].strip().splitlines()
    assert "final checkpoint" in run(tmp_path, *words(train))
    assert "share of the optimum" in run(tmp_path, *words(evaluate))


def test_processes_apart_as_in_the_readme(tmp_path: Path) -> None:
    lines = blocks("README.md", "sh")[1].strip().splitlines()
    with ExitStack() as stack:
        started = [stack.enter_context(brigade(tmp_path, *words(line))) for line in lines]
        for process in started:
            assert process.end() == 0, process.output


def test_links_in_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
