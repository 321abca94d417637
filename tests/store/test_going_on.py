"""A run's folder that is gone back to: what is kept, what is dropped, and who may write."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_checkpoint import example

from brigade.config import ConfigError, RunConfig
from brigade.store.folder import RunFolder


def config(folder: Path) -> RunConfig:
    return RunConfig(run_name="a-run", checkpoint_dir=str(folder), seed=3)


def at(episodes: int):
    whole, _ = example()
    return replace(whole, statistics=whole.statistics | {"total_episodes": episodes})


def test_metrics_go_on_where_the_checkpoint_was(tmp_path):
    folder = RunFolder(config(tmp_path))
    for update in range(5):
        folder.write_metrics({"update": update, "seconds": update * 10.0}, step=update)
    folder.close()
    path = folder.path / "metrics.jsonl"
    with path.open("a") as file:
        file.write('{"update": 5, "sec')
    again = RunFolder(config(tmp_path), resume=True)
    assert again.rewind(3) == 20.0
    again.write_metrics({"update": 3, "seconds": 31.0}, step=3)
    again.close()
    assert [json.loads(line)["update"] for line in path.read_text().splitlines()] == [0, 1, 2, 3]


def test_the_newest_whole_checkpoint_is_found(tmp_path):
    folder = RunFolder(config(tmp_path))
    assert folder.newest() is None
    for episodes in (900, 1000, 200):
        folder.save(at(episodes))
    assert folder.newest().statistics["total_episodes"] == 1000
    (folder.path / "checkpoint_1000.pt").write_bytes(b"spoilt")
    assert folder.newest().statistics["total_episodes"] == 900
    folder.save(at(950), final=True)
    assert folder.newest().statistics["total_episodes"] == 950
    folder.close()


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    folder = RunFolder(config(tmp_path), keep=2)
    for episodes in (5, 10, 100):
        folder.save(at(episodes))
    folder.save(at(100), final=True)
    names = sorted(path.name for path in folder.path.glob("*.pt"))
    assert names == ["checkpoint_10.pt", "checkpoint_100.pt", "final_checkpoint.pt"]
    folder.close()


def test_a_run_that_is_going_on_is_left_alone(tmp_path):
    folder = RunFolder(config(tmp_path))
    with pytest.raises(ConfigError, match="is going on"):
        RunFolder(config(tmp_path), resume=True)
    folder.close()
    (folder.path / ".checkpoint_7.pt.part").write_bytes(b"half")
    RunFolder(config(tmp_path), resume=True).close()
    assert not list(folder.path.glob(".*"))
