"""Runs without a name never share a folder, and leave none where they did not start."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from brigade.config import ConfigError, RunConfig
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.run.options import RuntimeOptions
from brigade.run.reserve import check_free, reserved
from brigade.run.resolve import resolve
from brigade.store.folder import RunFolder
from brigade.store.identity import Identity

from .processes import SMALL, brigade, run
from .test_train import RUNS

IDENTITY = Identity("an-id", describe(load_scenario("easy"), 4))


def config(folder: Path) -> RunConfig:
    return RunConfig(run_name="same", checkpoint_dir=str(folder / "runs" / "here"), seed=1)


def test_many_at_once_have_a_folder_each(tmp_path: Path) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(16) as pool:
        kept = list(
            pool.map(
                lambda _: stack.enter_context(reserved(config(tmp_path), named=False)), range(40)
            )
        )
        names = {each.run_name for each in kept}
        assert names == {"same", *(f"same-{number}" for number in range(2, 41))}
        assert {path.name for path in (tmp_path / "runs/here").iterdir()} == names
        assert {each.checkpoint_dir for each in kept} == {config(tmp_path).checkpoint_dir}
        for each in kept[:3]:
            RunFolder(each, IDENTITY).close()
    assert len(list((tmp_path / "runs/here").iterdir())) == 3, "those that did not start are gone"


def test_what_was_made_for_a_run_that_did_not_start_is_gone(tmp_path: Path) -> None:
    def interrupted() -> None:
        with reserved(config(tmp_path), named=False):
            assert (tmp_path / "runs/here/same").is_dir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())
    (tmp_path / "runs").mkdir()
    with reserved(config(tmp_path), named=False):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["runs"], "that was there before"


def test_a_name_that_a_person_gave_is_left_as_it_is(tmp_path: Path) -> None:
    with reserved(config(tmp_path), named=True) as same:
        assert same == config(tmp_path)
        assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(ConfigError, match=r"cannot make .*here: Not a directory"):
        reserved(config(tmp_path), named=False).__enter__()
    with pytest.raises(ConfigError, match="Not a directory"):
        check_free(tmp_path / "runs" / "same")


def test_of_two_that_start_in_one_empty_folder_one_does(tmp_path: Path) -> None:
    def start(seed: int) -> str:
        try:
            RunFolder(
                RunConfig(run_name="one", checkpoint_dir=str(tmp_path), seed=seed), IDENTITY
            ).close()
        except ConfigError as error:
            return str(error)
        return "started"

    refusal = f"run {tmp_path / 'one'} exists: choose another --run-name"
    for _ in range(20):
        (tmp_path / "one").mkdir()
        with ThreadPoolExecutor(8) as pool:
            said = list(pool.map(start, range(8)))
        assert sorted(said) == sorted(["started", *[refusal] * 7])
        settings = json.loads((tmp_path / "one" / "config.json").read_text())
        assert said[settings["seed"]] == "started"
        for path in (tmp_path / "one").iterdir():
            path.unlink()
        (tmp_path / "one").rmdir()


def test_a_scenario_of_any_name_makes_the_name_of_a_folder(tmp_path: Path) -> None:
    for name in ("a/b c", "\N{FIRE}" * 300, "火" * 300, "Zoë", "[red]"):
        path = tmp_path / "scenario.json"
        path.write_text(json.dumps({"name": name}))
        resolved = resolve(RuntimeOptions(scenario=str(path))).config
        assert resolved.run_name is not None
        (tmp_path / resolved.run_name).mkdir()


@pytest.mark.parametrize("command", ["train", "sim"])
def test_a_run_takes_another_name_where_its_own_is_taken(tmp_path: Path, command: str) -> None:
    now = time.time()
    for second in range(-5, 600):  # whenever it starts, somebody else did in that second
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now + second))
        (tmp_path / RUNS / f"default_pop4_{stamp}").mkdir(parents=True)
        (tmp_path / RUNS / f"default_pop4_{stamp}" / "precious").touch()
    before = set((tmp_path / RUNS).iterdir())
    if command == "train":
        run(tmp_path, "train", *SMALL, "--num-episodes", "1", "--device", "cpu")
    else:
        address = f"ipc://{tmp_path.parent}/c"
        with brigade(tmp_path, "sim", *SMALL, "--bind", address) as simulator:
            simulator.prints("learners attach with")
    [made] = set((tmp_path / RUNS).iterdir()) - before
    assert made.name.endswith("-2")
    assert (made / "config.json").exists()
    assert all([path.name for path in folder.iterdir()] == ["precious"] for folder in before)


def test_a_training_that_cannot_start_leaves_no_folder(tmp_path: Path) -> None:
    address = f"tcp://[2001:db8::5]:{5750}"  # of documentation, and no machine's
    with brigade(tmp_path, "train", *SMALL, "--bind", address, "--insecure") as training:
        assert training.end() == 2
        assert "cannot bind" in training.output
    assert not (tmp_path / "experiments").exists()


def test_a_link_that_leads_nowhere_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(tmp_path / "unmounted" / "here")
    with pytest.raises(ConfigError, match=r"cannot make .*runs/here: "):
        reserved(config(tmp_path), named=False).__enter__()
