"""Plans of runs: what a folder names is code only where the command itself names it."""

import json
from pathlib import Path
from typing import Any

import pytest

from brigade.config import ConfigError
from brigade.run.options import RuntimeOptions
from brigade.run.resolve import Plan, resolve
from brigade.store.identity import CONFIG, IDENTITY, read_identity, write_config, write_identity

TOYS = Path(__file__).with_name("toy_environments.py")
REACH, BANDIT, LIVES = f"{TOYS}:Reach", f"{TOYS}:Bandit", f"{TOYS}:Lives"


def plan(**settings: Any) -> Plan:
    return resolve(RuntimeOptions(**settings, given=frozenset(settings)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run on an environment that was begun, as it lies on the disk."""
    begun = plan(env=REACH, run_name="run", checkpoint_dir=str(tmp_path))
    assert begun.identity is not None
    begun.folder.mkdir()
    write_config(begun.folder, begun.config)
    write_identity(begun.folder, begun.identity, keep=None)
    return begun.folder


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"env_arg": {"n": 3}}, "--env-arg is for environments: name one with --env"),
        ({"max_steps": 9, "scenario": "hard"}, "--max-steps is for environments"),
        ({"env_resize": "64"}, "--env-resize is for environments"),
        ({"env_grey": True}, "--env-grey is for environments"),
        ({"squashed": True}, "--squashed is for environments"),
        ({"population_size": {"red": 8}}, "there is no role red"),
        ({"env": REACH, "self_play": False, "population_size": 1}, "2 seats for the 1 agents"),
        ({"env": REACH, "max_nights": 9}, "--max-steps cuts its games"),
        ({"env": REACH, "exploring_starts": 0.1}, "its episodes begin as it says"),
        ({"env": REACH, "advantages": "difference_rewards"}, "tells of no default actions"),
        ({"env": LIVES, "team_spirit": 0.5}, "would mix the rewards of the 2 roles"),
    ],
)
def test_settings_that_do_not_fit_what_is_played_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        plan(**settings)


def test_a_run_is_called_by_its_environment_and_not_by_where_that_lies():
    assert str(plan(env=REACH).config.run_name).startswith("toy_environments-py-Reach_pop8_")


def rewrite(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_run_goes_on_where_its_environment_is_named(folder):
    assert plan(resume=str(folder), env=REACH).identity == read_identity(folder)
    with pytest.raises(ConfigError, match=r"would be run: give --env .*:Reach"):
        plan(resume=str(folder))
    with pytest.raises(ConfigError, match="goes on with its own"):
        plan(resume=str(folder), env=BANDIT)


@pytest.mark.parametrize("hidden", [False, True], ids=["two names", "one name"])
def test_a_folder_whose_files_name_two_environments_runs_neither(folder, hidden):
    rewrite(folder / IDENTITY, lambda file: file["game"]["arguments"].update(env=BANDIT))
    if hidden:  # nothing but the description says that there is one
        rewrite(folder / CONFIG, lambda file: file.update(env=None))
    for named in {"env": REACH}, {"env": BANDIT}, {}:
        with pytest.raises(ConfigError):
            plan(resume=str(folder), **named)
