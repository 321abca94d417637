"""A run's folder: its files, and that no run writes over another's."""

import json
from pathlib import Path

import pytest
import torch
from test_checkpoint import example

from brigade.config import ConfigError, RunConfig, convert
from brigade.store.checkpoint import load
from brigade.store.folder import RunFolder


def config(folder: Path, name: str = "a-run", **changes) -> RunConfig:
    return RunConfig(run_name=name, checkpoint_dir=str(folder), seed=3, **changes)


def test_the_config_is_kept_as_it_was_given(tmp_path):
    given = config(tmp_path, gamma=0.5, num_transitions=10**6, sync="async")
    folder = RunFolder(given)
    folder.close()
    assert folder.path == tmp_path / "a-run"
    assert convert(RunConfig, json.loads((folder.path / "config.json").read_text())) == given


def test_a_run_that_exists_is_not_written_over(tmp_path):
    RunFolder(config(tmp_path)).close()
    before = {path: path.read_bytes() for path in (tmp_path / "a-run").iterdir()}
    with pytest.raises(ConfigError, match="exists: choose another --run-name"):
        RunFolder(config(tmp_path, gamma=0.1))
    assert {path: path.read_bytes() for path in (tmp_path / "a-run").iterdir()} == before


def test_folders_above_are_made(tmp_path):
    RunFolder(config(tmp_path / "some" / "where")).close()
    assert (tmp_path / "some" / "where" / "a-run" / "config.json").exists()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot make") as refused:
        RunFolder(config(tmp_path / "file"))
    assert "\n" not in str(refused.value)


def test_metrics_are_on_disk_as_soon_as_they_are_written(tmp_path):
    folder = RunFolder(config(tmp_path))
    rows = [
        {"update": i, "episode_return": None if i else -2.5, "learning": {"kl": 0.1 * i}}
        for i in range(3)
    ]
    for i, row in enumerate(rows):
        folder.write_metrics(row, step=i)
        lines = (folder.path / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == rows[: i + 1]
    folder.close()


def test_metrics_are_tensorboard_events_too(tmp_path):
    folder = RunFolder(config(tmp_path))
    folder.write_metrics({"update": 1, "learning": {"entropy": 2.5}, "lag": [1, 1]}, step=64)
    folder.close()
    [events] = folder.path.glob("events.out.tfevents.*")
    content = events.read_bytes()
    assert b"update" in content
    assert b"learning/entropy" in content


def test_checkpoints_are_named_after_the_episodes_played(tmp_path):
    folder = RunFolder(config(tmp_path))
    whole, _ = example()
    episodes = whole.statistics["total_episodes"]
    path = folder.save(whole)
    assert path == folder.path / f"checkpoint_{episodes}.pt"
    final = folder.save(whole, final=True)
    assert final == folder.path / "final_checkpoint.pt"
    assert load(path).statistics == load(final).statistics == whole.statistics
    assert torch.load(final, weights_only=True)["total_episodes"] == episodes
    folder.close()
