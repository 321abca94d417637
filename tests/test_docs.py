"""Every example in the README and the guides runs as it stands there."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from contextlib import ExitStack
from pathlib import Path

import pytest

from brigade.config import RunConfig, convert
from brigade.flags import Settings
from brigade.run.child import child_command, child_environment
from brigade.run.train import TrainConfig

from .run.processes import SMALL, brigade, run
from .run.test_train import RUNS

SMALL_RUN = SMALL[2:]  # without the scenario

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(name: str, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall((ROOT / name).read_text()) if kind == language]


def commands(block: str) -> list[str]:
    """The commands of a block, each in one line."""
    return block.replace("\\\n", " ").strip().splitlines()


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
    train, evaluate, play = commands(blocks("README.md", "sh")[0])
    assert "final checkpoint" in run(tmp_path, *words(train))
    assert "normalised score" in run(tmp_path, *words(evaluate))
    assert "first:" in run(tmp_path, *words(play))


@pytest.mark.parametrize("page", ["README.md", "docs/games.md"])
def test_environments_of_others_as_in_the_guides(page: str, tmp_path: Path) -> None:
    pytest.importorskip("mpe2", reason="mpe2 is not installed: it is in the dev group")
    block = next(text for text in blocks(page, "sh") if "brigade train --env" in text)
    check, train, evaluate, random, play = (
        words(line) for line in commands(block) if line.startswith("brigade")
    )
    assert "steps/s alone" in run(tmp_path, *check, "--seconds", "1")
    shorter = ("--num-transitions", "3000", "--update-interval", "2", "--hidden-size", "8")
    assert "final checkpoint" in run(tmp_path, *train, *shorter)
    assert "episodes of" in run(tmp_path, *evaluate, "--episodes", "8")
    assert "random on mpe2" in run(tmp_path, *random, "--episodes", "8")
    assert "pictures in" in run(tmp_path, *play)


def test_a_file_of_settings_for_an_environment_as_in_the_guide() -> None:
    [text] = blocks("docs/games.md", "toml")
    config = convert(RunConfig, tomllib.loads(text))
    assert (config.env, config.env_arg["N"]) == ("mpe2.simple_spread_v3", 5)
    assert config.population_size == {"agent": 8}


def test_the_first_plot_of_a_run_as_in_the_guide(tmp_path: Path) -> None:
    for library in ("pandas", "matplotlib"):
        pytest.importorskip(library, reason=f"{library} is not installed: it is in [analysis]")
    [code] = blocks(GUIDE, "python")
    assert len(code.strip().splitlines()) == 5
    run(tmp_path, "train", *SMALL, "--run-name", "first")
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "return.png").read_bytes().startswith(b"\x89PNG")


def test_watching_agents_play_as_in_the_guide(tmp_path: Path) -> None:
    run(tmp_path, "train", *SMALL, "--run-name", "first")
    run(tmp_path, "train", *SMALL, "--run-name", "second")
    [block] = [text for text in blocks(GUIDE, "sh") if text.startswith("brigade play first")]
    for line in block.splitlines():
        command = line.partition("#")[0]
        assert run(tmp_path, *words(command)), line
    assert (tmp_path / "game.gif").stat().st_size > 0


def test_processes_apart_as_in_the_readme(tmp_path: Path) -> None:
    with ExitStack() as stack:
        started = [
            stack.enter_context(brigade(tmp_path, *words(line)))
            for line in commands(blocks("README.md", "sh")[2])
        ]
        for process in started:
            assert process.end() == 0, process.output


GUIDE = "docs/running.md"


@pytest.fixture
def small_brigade(tmp_path: Path) -> dict[str, str]:
    """Environment in which ``brigade train`` makes short runs, and is where the guide has it."""
    bin_ = tmp_path / ".venv" / "bin"
    bin_.mkdir(parents=True)
    script = f"""#!/bin/sh
case "$*" in *--resume*) set -- "$@" ;; train*) set -- "$@" {" ".join(SMALL_RUN)} ;; esac
exec {shlex.join(child_command())} "$@"
"""
    for name in ("brigade", "brigade-sim", "brigade-learn"):
        (bin_ / name).write_text(script)
        (bin_ / name).chmod(0o755)
    return os.environ | child_environment() | {"PATH": f"{bin_}:{os.environ['PATH']}"}


def test_scenarios_one_after_another_as_in_the_guide(
    tmp_path: Path, small_brigade: dict[str, str]
) -> None:
    loop = next(text for text in blocks(GUIDE, "sh") if text.startswith("for scenario"))
    loop = loop.replace("chain_reaction", "no_such_scenario")
    done = shell(loop, tmp_path, small_brigade)
    folders = {path.name for path in (tmp_path / RUNS).iterdir()}
    assert folders == {"trivial_cooperation", "default"}, done
    said = (tmp_path / "failed.txt").read_text()
    assert said == "no_such_scenario ended with exit code 2\n"


def test_a_slurm_script_as_in_the_guide_begins_and_then_goes_on(
    tmp_path: Path, small_brigade: dict[str, str]
) -> None:
    script, several = blocks(GUIDE, "bash")
    assert "final checkpoint" in shell(script, tmp_path, small_brigade)
    assert "is complete; give --num-episodes beyond" in shell(script, tmp_path, small_brigade)
    subprocess.run(["bash", "-n", "-c", several], check=True)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_guides_unit(
    tmp_path: Path, small_brigade: dict[str, str]
) -> None:
    [unit] = blocks(GUIDE, "ini")
    (tmp_path / "brigade.service").write_text(unit.replace("/srv/brigade", str(tmp_path)))
    words = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "brigade.service")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def shell(text: str, folder: Path, environment: dict[str, str]) -> str:
    words = ["bash", "-c", text]
    done = subprocess.run(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.stdout.decode()


def said_in_the_code() -> str:
    """All of the code's text, its string literals joined and what is filled in as ``...``."""
    parts = []
    for path in [*(ROOT / "brigade").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                values = [v.value if isinstance(v, ast.Constant) else "..." for v in node.values]
                parts.append("".join(map(str, values)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts.append(re.sub("%[ds]", "...", node.value))
    return "\n".join(parts)


def test_the_messages_that_the_guide_explains_are_the_programs_own() -> None:
    text = (ROOT / GUIDE).read_text()
    table = text[text.index("## Troubleshooting") :]
    quoted = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(quoted) > 15
    code = said_in_the_code()
    for message in quoted:
        assert message in code


PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/results.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))


def anchors(page: Path) -> set[str]:
    """Give the anchors that GitHub makes of a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        other = page.parent.joinpath(path) if path else page
        assert other.exists(), target
        assert not anchor or anchor in anchors(other), target


def test_the_settings_of_make_train_exist() -> None:
    recipe = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    [line] = re.findall(r"^\t@\$\(BIN\)/brigade train (.*) \$\(ARGS\)$", recipe, re.MULTILINE)
    flags = shlex.split(line)
    config = Settings.read("train", "", TrainConfig, flags).config(TrainConfig)
    assert config.scenario == "default"
